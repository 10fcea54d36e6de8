import * as v from 'valibot'
import { InputError } from '../../runtime/base/errors.ts'

const PROBLEMS_SHOWN = 8

/** The value in its checked, defaulted form; or one InputError 'shape-invalid' that lists what is wrong. `what` names it. */
export function checkShape<S extends v.GenericSchema>(schema: S, value: unknown, what: string): v.InferOutput<S> {
  const result = v.safeParse(schema, value)
  if (result.success) return result.output
  const problems = result.issues.slice(0, PROBLEMS_SHOWN).map((issue) => `${v.getDotPath(issue) ?? what}: ${issue.message}`)
  const rest = result.issues.length - problems.length
  throw new InputError('shape-invalid', `Cannot use the ${what}: ${problems.join('; ')}${rest > 0 ? `; and ${rest} more` : ''}`)
}
