import test from 'ava'
import fc from 'fast-check'
import { FRAME_ROWS_MAX } from '../../config/wire.ts'
import { decodeFrame, encodeFrame } from '../../runtime/event/frame.ts'
import { emittedRecord, emittedRows, span } from '../support/emitted.ts'

const rowsAt = 24 + 'readings'.length + 'e1'.length
const plainFrame = (seqs: number[]) => encodeFrame('readings', 'e1', emittedRows(seqs), { compress: false })

test('frame carries any rows in order of seq, packed or not', (t) => {
  const rows = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 2 ** 31 }), fc.string()), {
    selector: ([seq]) => seq,
    minLength: 1,
    maxLength: 50,
  })
  fc.assert(
    fc.property(rows, fc.boolean(), (given, compress) => {
      const sent = given.toSorted(([a], [b]) => a - b).map(([seq, body]) => ({ seq, record: emittedRecord(body) }))
      const frame = decodeFrame(encodeFrame('readings', 'e1', sent, { compress }))
      t.like(frame, { stream: 'readings', epoch: 'e1' })
      t.deepEqual(frame.rows, sent)
    }),
    { numRuns: 50 },
  )
})

test('frame of many like rows is packed to a fraction', (t) => {
  const rows = emittedRows(span(1, 1000))
  t.true(encodeFrame('readings', 'e1', rows).length < encodeFrame('readings', 'e1', rows, { compress: false }).length / 2)
})

test('frame that is cut anywhere is refused', (t) => {
  for (const compress of [true, false]) {
    const frame = encodeFrame('readings', 'e1', emittedRows(span(1, 20)), { compress })
    for (let length = 0; length < frame.length; length++) t.throws(() => decodeFrame(frame.subarray(0, length)), { code: 'frame-invalid' })
  }
})

test('frame with any byte changed is refused or decodes to whole records', (t) => {
  const frame = plainFrame(span(1, 3))
  for (let i = 0; i < frame.length; i++) {
    for (const bit of [1, 0x80]) {
      const changed = Buffer.from(frame)
      changed[i]! ^= bit
      try {
        for (const { record } of decodeFrame(changed).rows) t.is(record.readUInt32LE(0), record.length)
      } catch (error) {
        t.is((error as { code?: string }).code, 'frame-invalid')
      }
    }
  }
})

test('frame that unpacks to more than it says is refused', (t) => {
  const frame = encodeFrame('readings', 'e1', emittedRows(span(1, 1000)))
  t.is(frame[4], 1)
  frame.writeUInt32LE(frame.readUInt32LE(12) - 8, 12)
  t.throws(() => decodeFrame(frame), { code: 'frame-invalid' })
  frame.writeUInt32LE(2 ** 31, 12)
  t.throws(() => decodeFrame(frame), { code: 'frame-invalid', message: /at most/ })
})

test('frame whose rows go back, or begin elsewhere than it says, is refused', (t) => {
  const frame = plainFrame([5, 6])
  frame.writeUInt32LE(1, rowsAt)
  t.throws(() => decodeFrame(frame), { message: /row 0 is out of order/ })
  const repeated = plainFrame([5, 6])
  const second = rowsAt + 8 + repeated.readUInt32LE(rowsAt + 4)
  repeated.writeUInt32LE(0, second)
  t.throws(() => decodeFrame(repeated), { message: /row 1 is out of order/ })
})

test('frame with a name that is no name is refused', (t) => {
  for (const name of ['', '../x', 'a b', '\u0000', '-x'])
    t.throws(() => decodeFrame(encodeFrame(name, 'e1', emittedRows([1]))), { code: 'frame-invalid' }, name)
  t.throws(() => decodeFrame(encodeFrame('readings', 'e/1', emittedRows([1]))), { code: 'frame-invalid' })
})

test('frame without rows or with too many is not made', (t) => {
  t.throws(() => encodeFrame('readings', 'e1', []), { code: 'frame-empty' })
  t.throws(() => encodeFrame('readings', 'e1', emittedRows(span(1, FRAME_ROWS_MAX + 1))), { code: 'frame-too-large' })
})
