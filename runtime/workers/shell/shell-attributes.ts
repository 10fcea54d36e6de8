import type { FunctionConfig } from '../../../config/function-config.ts'
import type { FramingKind } from './framing.ts'

/** `runtimeAttributes` of a shell function, as config/shell-attributes.ts has checked them. */
export interface ShellAttributes {
  readonly arguments: readonly string[]
  readonly responseHeaders: Readonly<Record<string, string>>
  readonly isPersistent: boolean
  readonly framing: FramingKind
  readonly argumentsFromHeader: boolean
}

export function shellAttributes({ runtimeAttributes: given }: FunctionConfig): ShellAttributes {
  return {
    arguments: (given['arguments'] as readonly string[] | undefined) ?? [],
    responseHeaders: (given['responseHeaders'] as Record<string, string> | undefined) ?? {},
    isPersistent: given['mode'] === 'persistent',
    framing: (given['framing'] as FramingKind | undefined) ?? 'frames',
    argumentsFromHeader: given['argumentsFromHeader'] === true,
  }
}
