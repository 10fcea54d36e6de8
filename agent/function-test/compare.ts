/**
 * Expected and got, side by side. A map with one key that begins with "$" is a rule for what varies:
 *
 *   {$any: true}   {$match: "^2026-"}   {$near: [21.5, 0.1]}   {$type: number}
 *
 * Bodies: a text is compared with the text; anything else with the body read as JSON.
 */
export interface Expected {
  readonly status?: unknown
  readonly contentType?: unknown
  readonly headers?: Readonly<Record<string, unknown>>
  readonly body?: unknown
  readonly error?: unknown
  readonly emits?: readonly { readonly stream: string; readonly body?: unknown }[]
  readonly publishes?: readonly { readonly topic?: unknown; readonly body?: unknown; readonly qos?: number }[]
  readonly state?: Readonly<Record<string, unknown>>
  readonly logs?: readonly unknown[]
}

export interface Outcome {
  readonly status: number
  readonly contentType: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly error: string | undefined
  readonly emits: readonly { readonly stream: string; readonly body: Buffer }[]
  readonly publishes: readonly { readonly topic: string; readonly body: Buffer; readonly qos: number }[]
  /** The state of the function after the event. */
  readonly state: ReadonlyMap<string, Buffer>
  readonly logs: readonly string[]
  readonly ms: number
}

const SHOWN_MAX = 120
const FAILED = 500

/** What differs, one sentence each; none: as expected. Only what `expected` names is compared. */
export function differences(expected: Expected | undefined, got: Outcome): string[] {
  if (!expected) return got.status < FAILED ? [] : [`expected an answer below ${FAILED}, got ${got.status}: ${got.error ?? ''}`]
  const found: string[] = []
  const plain = (at: string, want: unknown, value: unknown) => want !== undefined && compare(at, want, value, found)
  const body = (at: string, want: unknown, value: Buffer) => want !== undefined && compare(at, want, asWanted(want, value), found)

  // A failure that was not expected tells more than the fields that it lacks.
  if (expected.status === undefined && expected.error === undefined && got.status >= FAILED) {
    found.push(`expected an answer below ${FAILED}, got ${got.status}: ${got.error ?? ''}`)
  }
  plain('status', expected.status, got.status)
  // Why, beside the number.
  if (found.length > 0 && got.error !== undefined && expected.error === undefined) found.push(`it failed: ${got.error}`)
  plain('contentType', expected.contentType, got.contentType)
  for (const [name, want] of Object.entries(expected.headers ?? {})) {
    plain(`headers.${name}`, want, Object.entries(got.headers).find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1])
  }
  body('body', expected.body, got.body)
  plain('error', expected.error, got.error)
  if (expected.emits) {
    sameLength('emits', expected.emits, got.emits, found)
    for (const [index, want] of expected.emits.entries()) {
      const emitted = got.emits[index]
      if (!emitted) break
      plain(`emits[${index}].stream`, want.stream, emitted.stream)
      body(`emits[${index}].body`, want.body, emitted.body)
    }
  }
  if (expected.publishes) {
    sameLength('publishes', expected.publishes, got.publishes, found)
    for (const [index, want] of expected.publishes.entries()) {
      const published = got.publishes[index]
      if (!published) break
      plain(`publishes[${index}].topic`, want.topic, published.topic)
      plain(`publishes[${index}].qos`, want.qos, published.qos)
      body(`publishes[${index}].body`, want.body, published.body)
    }
  }
  for (const [key, want] of Object.entries(expected.state ?? {})) {
    const value = got.state.get(key)
    if (want === null && value === undefined) continue
    if (value === undefined) found.push(`state.${key}: expected ${shown(want)}, got nothing`)
    else body(`state.${key}`, want, value)
  }
  if (expected.logs) {
    sameLength('logs', expected.logs, got.logs, found)
    for (const [index, want] of expected.logs.entries()) if (index < got.logs.length) plain(`logs[${index}]`, want, got.logs[index])
  }
  return found
}

function sameLength(at: string, want: readonly unknown[], got: readonly unknown[], found: string[]): void {
  if (want.length !== got.length) found.push(`${at}: expected ${want.length}, got ${got.length}`)
}

/** The body as the kind of thing that is expected. */
function asWanted(want: unknown, body: Buffer): unknown {
  const text = body.toString('utf8')
  if (typeof want === 'string' || (isRule(want) && '$match' in want)) return text
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

function compare(at: string, want: unknown, got: unknown, found: string[]): void {
  if (isRule(want)) {
    const broken = brokenRule(want, got)
    if (broken !== null) found.push(`${at}: expected ${broken}, got ${shown(got)}`)
  } else if (Array.isArray(want) && Array.isArray(got)) {
    sameLength(at, want, got, found)
    for (const [index, item] of want.entries()) if (index < got.length) compare(`${at}[${index}]`, item, got[index], found)
  } else if (isMap(want) && isMap(got)) {
    for (const key of new Set([...Object.keys(want), ...Object.keys(got)])) {
      if (!Object.hasOwn(want, key)) found.push(`${at}.${key}: expected nothing, got ${shown(got[key])}`)
      else if (!Object.hasOwn(got, key)) found.push(`${at}.${key}: expected ${shown(want[key])}, got nothing`)
      else compare(`${at}.${key}`, want[key], got[key], found)
    }
  } else if (want !== got) found.push(`${at}: expected ${shown(want)}, got ${shown(got)}`)
}

function isRule(want: unknown): want is Record<string, unknown> {
  return isMap(want) && Object.keys(want).length === 1 && Object.keys(want)[0]!.startsWith('$')
}

/** What was expected instead; null: the rule holds. */
function brokenRule(rule: Record<string, unknown>, got: unknown): string | null {
  const [name, value] = Object.entries(rule)[0]!
  switch (name) {
    case '$any':
      return got === undefined ? 'anything' : null
    case '$match':
      return typeof got === 'string' && new RegExp(String(value), 'u').test(got) ? null : `a text that matches ${shown(value)}`
    case '$near': {
      const [wanted, tolerance] = Array.isArray(value) ? value.map(Number) : [Number.NaN, Number.NaN]
      return typeof got === 'number' && Math.abs(got - wanted!) <= tolerance! ? null : `a number within ${tolerance} of ${wanted}`
    }
    case '$type':
      return (got === null ? 'null' : Array.isArray(got) ? 'array' : typeof got) === value ? null : `something of type ${shown(value)}`
    default:
      return `a rule that there is ($any, $match, $near or $type; ${name} is none)`
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}... (${text.length} characters)` : text
}
