import test from 'ava'
import { budgetFor, PAGE_BYTES } from '../../runtime/store/limits.ts'
import { RowPacker, unpackRows } from '../../runtime/store/row-pack.ts'
import { Op, Outcome, StepReader, StepWriter } from '../../runtime/store/step-batch.ts'

test('step batch read back gives every field of every entry', (t) => {
  const writer = new StepWriter(new ArrayBuffer(64))
  writer.put(Op.accept, 3, 0, 0, 0, null, Buffer.from('hello'))
  writer.put(Op.release, 8191, 2 ** 40, 2 ** 52 + 1, 0, null, null)
  writer.put(Op.setState, 7, 0, 0, 65_535, Buffer.from('größe'), Buffer.alloc(1000, 9))
  const reader = new StepReader(writer.take(), writer.used)
  t.true(reader.next())
  t.deepEqual([reader.op, reader.number, Buffer.from(reader.payload).toString()], [Op.accept, 3, 'hello'])
  t.true(reader.next())
  t.deepEqual([reader.op, reader.number, reader.value, reader.second], [Op.release, 8191, 2 ** 40, 2 ** 52 + 1])
  t.true(reader.next())
  t.deepEqual([reader.key, reader.payload.length, reader.attempt], ['größe', 1000, 65_535])
  t.false(reader.next())
})

test('step batch answered keeps what it asked, so that it can run again', (t) => {
  const writer = new StepWriter()
  writer.put(Op.bury, 1, 42, 0, 0, null, null)
  const reader = new StepReader(writer.take(), writer.used)
  reader.next()
  reader.answer(Outcome.storeFull, 7)
  t.deepEqual([reader.value, reader.outcome, reader.result], [42, Outcome.storeFull, 7])
})

test('step writer with a step begun and never ended takes it back', (t) => {
  const writer = new StepWriter()
  writer.put(Op.accept, 1, 0, 0, 0, null, Buffer.from('a'))
  const whole = writer.used
  writer.openAt = writer.used
  writer.put(Op.begin, 1, 1, 0, 0, null, null)
  t.true(writer.dropOpenStep())
  t.is(writer.used, whole)
  t.false(writer.dropOpenStep())
})

test('packed rows unpacked are the same rows', (t) => {
  const packer = new RowPacker()
  const records = [Buffer.from('a'), Buffer.alloc(100_000, 1), Buffer.alloc(0)]
  records.forEach((record, i) => packer.push(2 ** 40 + i, i, record))
  const rows = unpackRows(packer.take(), (id, attempt, record) => ({ id, attempt, record }))
  t.deepEqual(
    rows,
    records.map((record, i) => ({ id: 2 ** 40 + i, attempt: i, record })),
  )
})

for (const mebibytes of [1, 2, 8, 64, 1024]) {
  test(`store budget of ${mebibytes} MiB leaves room for rows, WAL and ballast within it`, (t) => {
    const bytes = mebibytes * 1024 * 1024
    const { maxPages, reservePages, checkpointPages, ballastBytes } = budgetFor(bytes)
    t.true(maxPages * PAGE_BYTES + checkpointPages * PAGE_BYTES + ballastBytes <= bytes)
    t.true(reservePages < maxPages / 4)
  })
}
