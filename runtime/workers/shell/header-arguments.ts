import { splitArguments } from '../../../config/split-arguments.ts'
import { FunctionError } from '../../base/errors.ts'
import { headOf } from '../../event/event-writer.ts'
import { itemsOf } from '../../event/head.ts'
import { Tag } from '../../event/record.ts'

const HEADER = 'x-nuclio-arguments'
const ARGUMENTS_MAX = 256
const CHARS_MAX = 32_768

/**
 * The arguments that a caller asks for (`argumentsFromHeader: true`); undefined: none. Split at spaces, quotes group, and that is all: no
 * shell ever sees them (CVE-2026-29042). Throws FunctionError for what no program could be given.
 */
export function headerArguments(record: Buffer): readonly string[] | undefined {
  const [, text] = Object.entries(itemsOf(headOf(record), Tag.header)).find(([name]) => name.toLowerCase() === HEADER) ?? []
  if (text === undefined) return undefined
  if (text.includes('\0')) throw refused('it has a NUL character')
  if (text.length > CHARS_MAX) throw refused(`it has ${text.length} characters, at most ${CHARS_MAX}`)
  const given = splitArguments(text)
  if (given.length > ARGUMENTS_MAX) throw refused(`it has ${given.length} arguments, at most ${ARGUMENTS_MAX}`)
  return given
}

function refused(why: string): FunctionError {
  return new FunctionError('arguments-refused', `Cannot take the arguments of header ${HEADER}: ${why}`)
}
