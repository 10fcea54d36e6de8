/** `runtimeAttributes` of a shell function: Nuclio's two, and how its program is run. */
import * as v from 'valibot'
import type { Checker } from './check.ts'
import { splitArguments } from './split-arguments.ts'

const ARGUMENTS_MAX = 256
const RESPONSE_HEADERS_MAX = 100
/** As the HTTP trigger limits what comes in. */
const RESPONSE_HEADER_CHARS_MAX = 8192

/** Neither an argument nor a variable can carry a NUL: the kernel ends the text there. */
const noNul = v.pipe(
  v.string(),
  v.check((given) => !given.includes('\0'), 'text without a NUL character'),
)
const headerName = v.pipe(v.string(), v.regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,255}$/, 'a header name'))
const headerText = v.pipe(
  v.string(),
  v.maxLength(RESPONSE_HEADER_CHARS_MAX, `at most ${RESPONSE_HEADER_CHARS_MAX} characters`),
  v.check((given) => !/[\0\r\n]/.test(given), 'one line of text'),
)

export const ShellAttributes = v.optional(
  v.looseObject({
    /** One string, as Nuclio has it, or a list. */
    arguments: v.optional(v.union([noNul, v.pipe(v.array(noNul), v.maxLength(ARGUMENTS_MAX, `at most ${ARGUMENTS_MAX} arguments`))]), []),
    responseHeaders: v.optional(
      v.pipe(
        v.record(headerName, v.union([headerText, v.number(), v.boolean()])),
        v.check((given) => Object.keys(given).length <= RESPONSE_HEADERS_MAX, `at most ${RESPONSE_HEADERS_MAX} headers`),
      ),
      {},
    ),
    /** Default perEvent: a program for each event, as in Nuclio. persistent: one program for many, and no start in each event's way. */
    mode: v.optional(v.picklist(['perEvent', 'persistent'])),
    /** persistent only. Default frames: fields and any body, with lengths. lines: a body is a line, and so is its answer. */
    framing: v.optional(v.picklist(['frames', 'lines'])),
    /** Default false: a caller's header `x-nuclio-arguments` is data. true: it takes the place of `arguments`, split without a shell. */
    argumentsFromHeader: v.optional(v.boolean()),
  }),
  {},
)

/** null after a problem. */
export function compileShellAttributes(checker: Checker, path: readonly (string | number)[]): Record<string, unknown> | null {
  const attributes = checker.check(ShellAttributes, [...path])
  if (!attributes) return null
  const { arguments: args, responseHeaders, mode, framing, argumentsFromHeader } = attributes
  if (framing !== undefined && mode !== 'persistent') {
    checker.add([...path, 'framing'], `expected mode: persistent beside it, got ${mode ?? 'nothing'}`)
  }
  if (argumentsFromHeader && mode === 'persistent') {
    checker.add([...path, 'argumentsFromHeader'], 'expected false, got true', 'a persistent program has been started when its events come')
  }
  return {
    ...attributes,
    arguments: typeof args === 'string' ? splitArguments(args) : args,
    responseHeaders: Object.fromEntries(Object.entries(responseHeaders).map(([key, value]) => [key, String(value)])),
  }
}
