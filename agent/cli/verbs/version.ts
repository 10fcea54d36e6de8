import { readFileSync } from 'node:fs'
import type { Call } from '../call.ts'

export const dunlinVersion = (): string =>
  (JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }).version

export function version({ printer }: Call): void {
  const found = { dunlin: dunlinVersion(), node: process.versions.node, platform: `${process.platform}-${process.arch}` }
  printer.result(found, () => `dunlin ${found.dunlin} (Node ${found.node}, ${found.platform})`)
}
