/** What stands on a Java worker's class path, compiled where that is needed and a JDK is there. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compiledClasses } from './compiled-classes.ts'

const GUEST = fileURLToPath(new URL('../../shared-memory/guests/java/', import.meta.url))

/** The packed form has a jar; a checkout, or a package made without a JDK, has the sources. */
export async function guestClassPath(): Promise<string> {
  const jar = join(GUEST, 'dunlin-guest.jar')
  if (existsSync(jar)) return jar
  const sources = readdirSync(join(GUEST, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.java'))
  return compiledClasses('guest', join(GUEST, 'src'), sources, [])
}

/** The folder and its jars; its .java files are compiled first when it has nothing compiled. */
export async function functionClassPath(directory: string, guest: string): Promise<string> {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  const path = `${directory}:${join(directory, '*')}`
  if (files.some((name) => name.endsWith('.class') || name.endsWith('.jar'))) return path
  const sources = files.filter((name) => name.endsWith('.java'))
  if (sources.length === 0) return path
  return `${await compiledClasses('function', directory, sources, ['-cp', guest])}:${directory}`
}
