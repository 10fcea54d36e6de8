/** Bytes as people write them in text, with C's escapes. */
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '0': '\0', '\\': '\\' }

/** Characters stand for their UTF-8 bytes, `\xNN` for the byte. null: an escape that is none. */
export function escapedBytes(text: string): Uint8Array | null {
  const parts: Buffer[] = []
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== '\\') {
      const character = String.fromCodePoint(text.codePointAt(i)!)
      parts.push(Buffer.from(character))
      i += character.length - 1
      continue
    }
    const next = text[++i] ?? ''
    const hex = /^x([0-9a-fA-F]{2})/.exec(text.slice(i))
    if (hex) {
      parts.push(Buffer.from(hex[1]!, 'hex'))
      i += 2
    } else if (Object.hasOwn(ESCAPES, next)) parts.push(Buffer.from(ESCAPES[next]!))
    else return null
  }
  return Buffer.concat(parts)
}
