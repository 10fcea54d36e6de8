import test from 'ava'
import { syntheticEvent, syntheticQuery, syntheticRecord, type SyntheticEvent } from '../../agent/source/synthetic-event.ts'
import { Clock } from '../../runtime/base/clock.ts'
import { UuidSource } from '../../runtime/base/uuid.ts'
import { bodyOf, EventWriter, headOf } from '../../runtime/event/event-writer.ts'
import { findItem } from '../../runtime/event/head.ts'
import { AT, Flag, Tag } from '../../runtime/event/record.ts'

const events = new EventWriter(new Clock(), new UuidSource(), 1)
const given: SyntheticEvent = {
  trigger: 'readings',
  topic: 'halle/Öfen/1',
  type: 'reading',
  headers: { 'x-site': 'nørd', trigger: 'not the trigger' },
  fields: { a: '1&2' },
  qos: 2,
  retain: true,
  contentType: 'text/plain',
  body: Buffer.from('x'),
}

test('event described as a query is the same event', (t) => {
  const read = syntheticEvent(new URLSearchParams(syntheticQuery(given).toString()), 'text/plain', given.body)
  t.deepEqual({ ...read, headers: { ...read.headers }, fields: { ...read.fields } }, given)
})

test('event becomes a record with its topic, headers, fields and flags', (t) => {
  const record = syntheticRecord(events, given)
  const head = headOf(record)
  t.is(findItem(head, Tag.topic), 'halle/Öfen/1')
  t.is(findItem(head, Tag.header, 'x-site'), 'nørd')
  t.is(findItem(head, Tag.field, 'a'), '1&2')
  t.is(record[AT.flags]! & (Flag.qosMask | Flag.retain), 2 | Flag.retain)
  t.is(bodyOf(record).toString(), 'x')
})

test('query with an unknown name is refused, and so is a QoS that there is not', (t) => {
  t.throws(() => syntheticEvent(new URLSearchParams('tropic=a'), undefined, given.body), { code: 'query-invalid', message: /tropic/ })
  t.throws(() => syntheticRecord(events, { ...given, qos: 3 }), { code: 'event-invalid' })
})

test('event with a header that is too long leaves nothing behind in the next one', (t) => {
  t.throws(() => syntheticRecord(events, { ...given, headers: { long: 'x'.repeat(70_000) } }), { code: 'head-too-long' })
  t.is(findItem(headOf(syntheticRecord(events, { headers: {}, fields: {}, body: given.body })), Tag.topic), undefined)
})
