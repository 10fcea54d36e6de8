import * as v from 'valibot'

/** Accepted with any value; what has no effect is named in a notice. */
export const anything = <const T extends Readonly<Record<string, string>>>(fields: T) =>
  Object.fromEntries(Object.keys(fields).map((key) => [key, v.optional(v.unknown())])) as {
    [K in keyof T]: v.OptionalSchema<v.UnknownSchema, undefined>
  }
