/** What stands in for the parts of a function document that were left out, as Nuclio fills them in: name, runtime, handler, triggers. */

export interface DocumentDefaults {
  readonly metadata: { readonly name: string }
  readonly spec: { readonly runtime?: string; readonly handler?: string; readonly triggers: object }
}

type Parts = Readonly<Record<string, unknown>>

const SECTIONS: readonly string[] = ['metadata', 'spec']

/** The defaults for what `given` does not have. Maps inside of a section are taken whole: triggers are not mixed. */
export function missingParts(defaults: DocumentDefaults, given: unknown): Parts {
  return missing({ ...defaults }, given)
}

export function filledDocument(given: unknown, defaults: DocumentDefaults): Parts {
  const document = asMap(given)
  const parts = missingParts(defaults, given)
  const sections = SECTIONS.map((name) => [name, { ...asMap(document[name]), ...asMap(parts[name]) }])
  return { ...document, ...(Object.fromEntries(sections) as Parts) }
}

function missing(defaults: Parts, given: unknown): Parts {
  const known = asMap(given)
  const parts = Object.entries(defaults).flatMap(([key, value]): [string, unknown][] => {
    if (isEmpty(known[key])) return [[key, value]]
    return SECTIONS.includes(key) && isMap(known[key]) ? [[key, missing(asMap(value), known[key])]] : []
  })
  return Object.fromEntries(parts)
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === '' || (isMap(value) && Object.keys(asMap(value)).length === 0)
}

function asMap(value: unknown): Parts {
  return isMap(value) ? (value as Parts) : {}
}

function isMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
