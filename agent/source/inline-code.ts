/** Code that stands in the config itself (`spec.build.functionSourceCode`). */
import { writeFileSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import type { FunctionConfig, RuntimeKind } from '../../config/function-config.ts'

const INLINE_EXTENSION: Readonly<Record<RuntimeKind, string>> = {
  python: '.py',
  nodejs: '.js',
  java: '.java',
  native: '.so',
  golang: '.go',
  shell: '',
}

export function writeInline(folder: string, { runtime, handler }: FunctionConfig, source: string): void {
  const [module = 'main'] = handler.split(':')
  const file = join(folder, basename(extname(module) === '' ? module + INLINE_EXTENSION[runtime] : module))
  writeFileSync(file, source, { mode: runtime === 'shell' ? 0o755 : 0o644 })
}
