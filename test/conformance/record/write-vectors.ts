import { writeFileSync } from 'node:fs'
import { Flag, Kind, Tag } from '../../../runtime/event/record.ts'
import { encodeVector, type RecordVector } from './vector.ts'

/**
 * Writes the record vectors. Run it only when a record is added: what is there already is the format that devices in the field speak,
 * and does not change.
 */
const zero = {
  flags: 0,
  status: 0,
  ticket: 0,
  timeUs: 0,
  monotonicNs: 0,
  id: '0'.repeat(32),
  source: 0,
  attempt: 0,
  boot: 0,
  head: [],
  bodyHex: '',
} as const
const hex = (text: string): string => Buffer.from(text).toString('hex')

const vectors: Omit<RecordVector, 'bytesHex'>[] = [
  { ...zero, name: 'event-empty', kind: Kind.event, ticket: 1, attempt: 1 },
  {
    name: 'event-mqtt',
    kind: Kind.event,
    flags: 1 | Flag.retain | (2 << 6),
    status: 0,
    ticket: 4_503_599_627_370_497,
    timeUs: 1_700_000_000_123_456,
    monotonicNs: 987_654_321_098,
    id: '01890a5dac96774bbcceb302099a8057',
    source: 2,
    attempt: 3,
    boot: 4_294_967_295,
    head: [
      [Tag.topic, 'plant/ä/1', ''],
      [Tag.contentType, 'application/json', ''],
      [Tag.header, 'value', 'X-Name'],
      [Tag.header, '', 'Empty'],
    ],
    bodyHex: hex('{"t":21.5}'),
  },
  {
    ...zero,
    name: 'event-unknown-tag',
    kind: Kind.event,
    ticket: 2,
    attempt: 1,
    head: [
      [200, 'from the future', ''],
      [Tag.topic, 'a', ''],
    ],
    bodyHex: '00ff',
  },
  { ...zero, name: 'result-bytes', kind: Kind.result, status: 200, ticket: 7, bodyHex: '000102030405060708' },
  {
    ...zero,
    name: 'result-failed',
    kind: Kind.result,
    status: 500,
    ticket: 8,
    head: [
      [Tag.error, 'KeyError: 1', ''],
      [Tag.stack, 'line 1\nline 2', ''],
    ],
  },
  {
    ...zero,
    name: 'emit',
    kind: Kind.emit,
    ticket: 9,
    head: [
      [Tag.stream, 'readings', ''],
      [Tag.contentType, 'text/plain', ''],
    ],
    bodyHex: hex('21.5'),
  },
  {
    ...zero,
    name: 'publish-retained',
    kind: Kind.publish,
    flags: 1 | Flag.retain,
    ticket: 9,
    head: [[Tag.topic, 'out/1', '']],
    bodyHex: hex('on'),
  },
  { ...zero, name: 'state-set', kind: Kind.stateSet, ticket: 9, head: [[Tag.key, 'count', '']], bodyHex: hex('\x0142') },
  { ...zero, name: 'state-absent', kind: Kind.stateValue, flags: Flag.absent, ticket: 10 },
  { ...zero, name: 'log', kind: Kind.log, status: 30, head: [[Tag.fields, '{"a":1}', '']], bodyHex: hex('hot') },
  { ...zero, name: 'body-aligned', kind: Kind.result, status: 200, ticket: 11, bodyHex: '11'.repeat(16) },
]

for (const vector of vectors) {
  const whole = { ...vector, bytesHex: encodeVector(vector).toString('hex') } satisfies RecordVector
  writeFileSync(new URL(`./${vector.name}.json`, import.meta.url), JSON.stringify(whole, null, 2) + '\n')
}
