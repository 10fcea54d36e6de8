/** Compiles C and Go sources against runtime/native/dunlin.h. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import path from 'node:path'

export const HEADER_FOLDER = path.join(import.meta.dirname, '../../runtime/native')
const STRICT = ['-std=c11', '-Wall', '-Wextra', '-Werror', '-D_GNU_SOURCE']

/** Each distinct source is compiled once per run: many tests have a function of their own from the same one. */
const built = new Map<string, string>()

export function buildLibrary(source: string, target: string): void {
  buildOnce(source, target, () =>
    execFileSync('gcc', [...STRICT, '-O1', '-shared', '-fPIC', '-I', HEADER_FOLDER, '-o', target, source], {
      stdio: 'pipe',
      encoding: 'utf8',
    }),
  )
}

/** One file of package main, with cgo. */
export function buildGoLibrary(source: string, target: string): void {
  buildOnce(source, target, () => {
    writeFileSync(path.join(path.dirname(source), 'go.mod'), 'module fixture\n\ngo 1.17\n')
    execFileSync('go', ['build', '-buildmode=c-shared', '-o', target, path.basename(source)], {
      cwd: path.dirname(source),
      env: { ...process.env, CGO_ENABLED: '1', CGO_CFLAGS: `-I${HEADER_FOLDER} -O1` },
      stdio: 'pipe',
      encoding: 'utf8',
    })
  })
}

function buildOnce(source: string, target: string, build: () => void): void {
  const key = createHash('sha256').update(readFileSync(source)).digest('hex')
  const known = built.get(key)
  if (known !== undefined && existsSync(known)) return copyFileSync(known, target)
  build()
  const kept = path.join(folder(), `${key}.so`)
  copyFileSync(target, kept)
  built.set(key, kept)
}

let kept: string | undefined

function folder(): string {
  if (kept === undefined) {
    const made = mkdtempSync(path.join(tmpdir(), 'dunlin-native-'))
    process.once('exit', () => rmSync(made, { recursive: true, force: true }))
    kept = made
  }
  return kept
}
