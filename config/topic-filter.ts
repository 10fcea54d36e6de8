/** MQTT 3.1.1, section 4.7, and the one part of MQTT 5 (shared subscriptions) that the device's broker has not. */
const TOPIC_BYTES_MAX = 1024

/** What was expected of the filter instead, or null when it is good. */
export function topicFilterFault(filter: string): string | null {
  if (filter === '') return 'a topic filter'
  if (Buffer.byteLength(filter) > TOPIC_BYTES_MAX) return `a topic filter of at most ${TOPIC_BYTES_MAX} bytes`
  if (filter.includes('\0')) return 'a topic filter without the character NUL'
  if (filter === '$share' || filter.startsWith('$share/'))
    return 'a topic filter without $share (the trigger shares its events among its workers already)'
  const levels = filter.split('/')
  for (const [index, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || index < levels.length - 1)) return '"#" alone and as the last level of a topic filter'
    if (level.includes('+') && level !== '+') return '"+" alone in its level of a topic filter'
  }
  return null
}

/** Whether some topic matches both. A topic that begins with `$` is not matched by a wildcard in its first level. */
export function filtersOverlap(one: string, other: string): boolean {
  const a = one.split('/')
  const b = other.split('/')
  const isWild = (level: string | undefined) => level === '+' || level === '#'
  if ((isWild(a[0]) && b[0]!.startsWith('$')) || (isWild(b[0]) && a[0]!.startsWith('$'))) return false
  for (let i = 0; ; i++) {
    if (a[i] === '#' || b[i] === '#') return true
    if (a[i] === undefined || b[i] === undefined) return a[i] === b[i]
    if (a[i] !== b[i] && a[i] !== '+' && b[i] !== '+') return false
  }
}

/** Whether everything `filter` can match is also matched by `pattern`. */
export function covers(pattern: readonly string[], filter: readonly string[]): boolean {
  for (let i = 0; i < pattern.length; i++) {
    const allowed = pattern[i]!
    if (allowed === '#') return true
    const asked = filter[i]
    if (asked === undefined || asked === '#') return false
    if (allowed === '+') continue
    if (asked !== allowed) return false
  }
  return filter.length === pattern.length
}
