const NAME_BYTES_MAX = 128

/**
 * What is wrong with a client id or user name, or null. Names stand in topics, ACL patterns and logs: no wildcard, separator,
 * control character, or damaged UTF-8 (a lone surrogate arrives as U+FFFD).
 */
export function nameFault(name: string): string | null {
  if (Buffer.byteLength(name) > NAME_BYTES_MAX) return `is longer than ${NAME_BYTES_MAX} bytes`
  if (!name.isWellFormed() || name.includes('\ufffd')) return 'is not valid UTF-8'
  if (/[+#/$]/.test(name)) return 'holds one of + # / $'
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f]/.test(name)) return 'holds a control character'
  return null
}

/** The MQTT rules for text that stays a topic or a filter. */
export function isSoundText(text: string): boolean {
  return text.length > 0 && !text.includes('\0') && !text.includes('\ufffd')
}

export function levelCount(topic: string): number {
  let levels = 1
  for (let at = topic.indexOf('/'); at >= 0; at = topic.indexOf('/', at + 1)) levels++
  return levels
}

export function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.')
}
