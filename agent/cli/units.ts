/** Figures for people: sizes, spans, rates. */
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

export function bytesText(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

/** `3 s`, `4 min`, `5 h`, `6 d`. */
export function spanText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}

export function agoText(timeMs: number | null | undefined, nowMs = Date.now()): string {
  return timeMs === null || timeMs === undefined ? '-' : `${spanText(nowMs - timeMs)} ago`
}

/** `12.3/s`; below ten with one digit. */
export function rateText(perSecond: number): string {
  return `${perSecond >= 10 || perSecond === 0 ? Math.round(perSecond) : perSecond.toFixed(1)}/s`
}

/** `1,234,567` */
export const countText = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ',')
