/** Durations and sizes as people write them. Durations take Go's form, because Nuclio's files hold it. */
export const DURATION_PATTERN = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d))+$/
export const SIZE_PATTERN = /^\d+(?:\.\d+)?\s?(?:B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$/

const MS_PER_UNIT: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

const BYTES_PER_UNIT: Record<string, number> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
}

/** `1m30s` to 90000. Rounded up to whole milliseconds, so that a short time never becomes none. NaN when the text is no duration. */
export function parseDurationMs(text: string): number {
  if (!DURATION_PATTERN.test(text)) return Number.NaN
  let ms = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/g)) ms += Number(amount) * MS_PER_UNIT[unit!]!
  // Sums such as 0.1 + 0.2 must not round up for the sake of their last bit.
  return Math.ceil(Number(ms.toFixed(6)))
}

/** `64MiB` to 67108864. NaN when the text is no size. */
export function parseSizeBytes(text: string): number {
  if (!SIZE_PATTERN.test(text)) return Number.NaN
  const [, amount, unit] = /^([\d.]+)\s?([A-Za-z]+)$/.exec(text)!
  return Math.round(Number(amount) * BYTES_PER_UNIT[unit!]!)
}

export const QUANTITY_PATTERN = /^\d+(?:\.\d+)?(?:e\d{1,2}|k|Ki|[MGT]i?)?$/

/** Kubernetes' form, as Nuclio's files hold it: `128Mi`, `1G`, `500M`, `134217728`. NaN when the text is none. */
export function parseQuantityBytes(text: string): number {
  if (!QUANTITY_PATTERN.test(text)) return Number.NaN
  const [, amount, unit] = /^([\d.]+(?:e\d+)?)([A-Za-z]*)$/.exec(text)!
  const bytes = unit === '' ? 1 : BYTES_PER_UNIT[unit === 'k' ? 'kB' : `${unit}B`]!
  return Math.round(Number(amount) * bytes)
}

export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms > 0 && ms % MS_PER_UNIT[unit]! === 0) return `${ms / MS_PER_UNIT[unit]!}${unit}`
  }
  return `${ms}ms`
}

export function formatSize(bytes: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB'] as const) {
    if (bytes > 0 && bytes % BYTES_PER_UNIT[unit]! === 0) return `${bytes / BYTES_PER_UNIT[unit]!}${unit}`
  }
  return `${bytes}B`
}
