import { AGENT_VERSION } from '../../version.ts'
import type { Call } from '../call.ts'

export function version({ printer }: Call): void {
  const found = { dunlin: AGENT_VERSION, node: process.versions.node, platform: `${process.platform}-${process.arch}` }
  printer.result(found, () => `dunlin ${found.dunlin} (Node ${found.node}, ${found.platform})`)
}
