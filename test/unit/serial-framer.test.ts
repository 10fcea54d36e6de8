import fc from 'fast-check'
import test from 'ava'
import type { SerialFraming } from '../../config/triggers/serial.ts'
import { makeFramer } from '../../adapters/triggers/serial-framers.ts'

const MAX = 16
const PAUSE = Symbol('pause')

/** Frames as text, and the framer's own count of what it dropped. */
function cut(framing: SerialFraming, pieces: readonly (string | typeof PAUSE)[], maxBytes = MAX): [frames: string[], dropped: number] {
  const frames: string[] = []
  const framer = makeFramer(framing, maxBytes, (frame) => frames.push(frame.toString('latin1')))
  for (const piece of pieces) {
    if (piece === PAUSE) framer.pause()
    else framer.push(Buffer.from(piece, 'latin1'))
  }
  return [frames, framer.counters.droppedBytes]
}

const by = (delimiter: string, includeDelimiter = false): SerialFraming => ({
  kind: 'delimiter',
  delimiter: Buffer.from(delimiter, 'latin1'),
  includeDelimiter,
})
const LENGTH: SerialFraming = { kind: 'length', bytes: 3 }
const PREFIX: SerialFraming = { kind: 'lengthPrefix', bytes: 2, order: 'big' }
const IDLE: SerialFraming = { kind: 'idle', ms: 10 }
const REGEX: SerialFraming = { kind: 'regex', source: '\\d+(?:\\.\\d+)? kg' }

const CASES: [title: string, framing: SerialFraming, pieces: (string | typeof PAUSE)[], frames: string[], dropped: number][] = [
  ['lines', by('\n'), ['one\ntwo\n\nthr', 'ee\nfo'], ['one', 'two', 'three'], 0],
  ['lines with their delimiter', by('\r\n', true), ['one\r', '\ntwo\r\n'], ['one\r\n', 'two\r\n'], 0],
  ['a delimiter spread over three pieces', by('abc'), ['xa', 'b', 'cya', 'abc'], ['x', 'ya'], 0],
  ['a delimiter that overlaps itself', by('aab'), ['xaaab'], ['xa'], 0],
  ['a line as long as may be, and one longer', by('\n'), [`${'a'.repeat(16)}\n${'b'.repeat(17)}\nok\n`], ['a'.repeat(16), 'ok'], 18],
  ['garbage in pieces, then a good line', by('\r\n'), ['x'.repeat(100), 'y'.repeat(100), '\r', '\nok\r\n'], ['ok'], 202],
  ['fixed lengths', LENGTH, ['abcd', 'ef', 'gh'], ['abc', 'def'], 0],
  ['a byte lost of a fixed length: in step again after a pause', LENGTH, ['ab', PAUSE, 'abc'], ['abc'], 2],
  ['length in front', PREFIX, ['\0\x03ab', 'c\0\x01d'], ['abc', 'd'], 0],
  ['length in front that is too long: in step again after a pause', PREFIX, ['\xff\xffgarbage', 'more', PAUSE, '\0\x02ok'], ['ok'], 13],
  ['frames before a pause', IDLE, ['ab', 'cd', PAUSE, 'ef', PAUSE, PAUSE], ['abcd', 'ef'], 0],
  ['too much before a pause', IDLE, ['x'.repeat(10), 'x'.repeat(10), PAUSE, 'ok', PAUSE], ['ok'], 20],
  ['what a pattern finds', REGEX, ['??12.5 kg;7', '3 kg ', PAUSE], ['12.5 kg', '73 kg'], 4],
  ['a match at the end of what is there waits for a pause', REGEX, ['12 kg', PAUSE], ['12 kg'], 0],
]

for (const [title, framing, pieces, frames, dropped] of CASES) {
  test(`serial framing by ${framing.kind}: ${title}`, (t) => t.deepEqual(cut(framing, pieces), [frames, dropped]))
}

test('serial frames are the same however the bytes come in pieces, and no byte goes uncounted', (t) => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '\r', '\n', '\0', '\x02', '1', ' kg'), maxLength: 200 })
  fc.assert(
    fc.property(text, fc.array(fc.nat(200)), fc.constantFrom(by('\n'), by('\r\n'), by('aab'), LENGTH, PREFIX), (whole, cuts, framing) => {
      const at = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).toSorted((a, b) => a - b), whole.length]
      const pieces = at.slice(1).map((end, i) => whole.slice(at[i], end))
      // A length that is too long is dropped up to the end of what came at once: there the pieces do matter.
      if (framing.kind === 'lengthPrefix' && cut(framing, [whole])[1] > 0) return
      t.deepEqual(cut(framing, pieces), cut(framing, [whole]))
    }),
  )
})

const BEGIN_END: SerialFraming = { kind: 'regex', source: 'begin[0-9]+end' }
const GARBLED: [title: string, framing: SerialFraming, good: string][] = [
  ['one byte', by('\n'), '\nok\n'],
  ['two bytes', by('\r\n'), '\r\nok\r\n'],
  ['pattern', BEGIN_END, 'begin1end;'],
  ['pause', IDLE, 'ok'],
  ['length in front', PREFIX, '\0\x02ok'],
]
for (const [title, framing, good] of GARBLED) {
  test(`serial framing by ${title} takes 10 MB of garbage in a time that grows with it, and the next good frame`, (t) => {
    const garbage = Buffer.alloc(64 * 1024, 'x\r')
    const run = (megabytes: number): number => {
      const frames: string[] = []
      const framer = makeFramer(framing, 4096, (frame) => frames.push(frame.toString()))
      const since = process.cpuUsage()
      for (let i = 0; i < megabytes * 16; i++) framer.push(garbage)
      const used = process.cpuUsage(since)
      framer.pause()
      framer.push(Buffer.from(good))
      framer.pause()
      t.is(frames.length, 1)
      t.true(framer.counters.droppedBytes >= megabytes * 1024 * 1024)
      return used.user + used.system
    }
    run(1)
    const one = run(2)
    t.true(run(10) < 15 * (one + 20_000))
  })
}
