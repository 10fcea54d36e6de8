import { InputError } from '../../runtime/base/errors.ts'

const DEPTH_MAX = 32

/** JSON.parse for text from outside: nesting is bounded before it is parsed, and an error says so in our words. */
export function parseJson(text: string): unknown {
  checkDepth(text)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new InputError('json-invalid', `Cannot read JSON: ${(cause as Error).message}`, { cause })
  }
}

function checkDepth(text: string): void {
  let depth = 0
  let isString = false
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (isString) {
      if (c === BACKSLASH) i++
      else if (c === QUOTE) isString = false
    } else if (c === QUOTE) isString = true
    else if (c === BRACE_OPEN || c === BRACKET_OPEN) {
      if (++depth > DEPTH_MAX) throw new InputError('json-too-deep', `Cannot read JSON: nested deeper than ${DEPTH_MAX}`)
    } else if (c === BRACE_CLOSE || c === BRACKET_CLOSE) depth--
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const BRACKET_OPEN = 0x5b
const BRACKET_CLOSE = 0x5d
const BRACE_OPEN = 0x7b
const BRACE_CLOSE = 0x7d
