import test from 'ava'
import { answerHeaders, decodeHeader, encodeHeader, modeOf, readBinary } from '../../adapters/triggers/cloud-event-http.ts'
import { BATCH_EVENTS_MAX, readBatch, readStructured } from '../../adapters/triggers/cloud-event-json.ts'
import { eventIdOf, type CloudEvent } from '../../adapters/triggers/cloud-event.ts'

const WHOLE = {
  specversion: '1.0',
  type: 'com.example.someevent',
  source: '/mycontext',
  id: 'C234-1234-1234',
  time: '2018-04-05T17:31:00Z',
  comexampleextension1: 'value',
  comexampleothervalue: 5,
}

const structured = (more: object = {}, without: string[] = []): CloudEvent => {
  const event: Record<string, unknown> = { ...WHOLE, ...more }
  for (const name of without) delete event[name]
  return readStructured(Buffer.from(JSON.stringify(event)))
}

const binary = (more: Record<string, string> = {}, without: string[] = []): CloudEvent => {
  const headers: Record<string, string> = { 'ce-specversion': '1.0', 'ce-type': 'a.b', 'ce-source': '/s', 'ce-id': '1', ...more }
  for (const name of without) delete headers[name]
  return readBinary(Object.keys(headers), Object.values(headers), headers['content-type'], Buffer.from('x'))
}

test('structured event with JSON data gives its attributes as strings and its data as JSON', (t) => {
  const { attributes, dataContentType, data } = structured({ subject: null, datacontenttype: 'application/json', data: { a: 1 } })
  t.is(attributes.get('comexampleothervalue'), '5')
  t.false(attributes.has('subject'))
  t.is(dataContentType, 'application/json')
  t.deepEqual(JSON.parse(data.toString()), { a: 1 })
})

test('structured event with base64, text and untyped data gives the bytes that were meant', (t) => {
  const thrift = structured({
    datacontenttype: 'application/vnd.apache.thrift.binary',
    data_base64: Buffer.from([0, 255, 1]).toString('base64'),
  })
  t.deepEqual(thrift.data, Buffer.from([0, 255, 1]))
  const xml = structured({ datacontenttype: 'application/xml', data: '<much wow="xml"/>' })
  t.is(xml.data.toString(), '<much wow="xml"/>')
  // Without a content type the data is JSON, and a string is a JSON string.
  const text = structured({ data: "I'm just a string" })
  t.like(text, { dataContentType: 'application/json' })
  t.is(text.data.toString(), `"I'm just a string"`)
  t.is(structured().dataContentType, undefined)
  t.is(structured({ data: null }).data.toString(), 'null')
  t.is(structured({ datacontenttype: 'application/vnd.x+json; charset=utf-8', data: 'x' }).data.toString(), '"x"')
})

test('binary event has its attributes in headers, unquoted and percent-decoded once', (t) => {
  const { attributes, dataContentType, data } = binary({
    'ce-subject': 'Euro%20%E2%82%AC%20%F0%9F%98%80',
    'ce-ext': '"a \\"b\\""',
    'content-type': 'text/plain',
    accept: '*/*',
  })
  t.is(attributes.get('subject'), 'Euro € 😀')
  t.is(attributes.get('ext'), 'a "b"')
  t.is(binary({ 'ce-ext': '%2541' }).attributes.get('ext'), '%41')
  t.is(dataContentType, 'text/plain')
  t.is(data.toString(), 'x')
  t.false(attributes.has('accept'))
})

test('header value of an attribute is encoded and decoded back', (t) => {
  t.is(encodeHeader('Euro € 😀'), 'Euro%20%E2%82%AC%20%F0%9F%98%80')
  for (const value of ['plain', 'a b', '100%', '"quoted"', 'ü\u00e9', '%41', '~!#$&()']) t.is(decodeHeader('x', encodeHeader(value)), value)
  // Lower-case hex is taken, an overlong encoding of a space is not.
  t.is(decodeHeader('x', '%e2%82%ac'), '€')
  t.throws(() => decodeHeader('x', '%C0%A0'), { code: 'cloud-event' })
})

for (const [what, message, run] of [
  ['no id', /id is missing/, () => structured({}, ['id'])],
  ['an empty source', /source is missing or empty/, () => structured({ source: '' })],
  ['a source that is no URI', /source is no URI reference: "a b"/, () => structured({ source: 'a b' })],
  ['no specversion', /expected specversion 1.0, got none/, () => structured({}, ['specversion'])],
  ['an older specversion', /expected specversion 1.0, got "0.3"/, () => binary({ 'ce-specversion': '0.3' })],
  ['no type in headers', /type is missing/, () => binary({}, ['ce-type'])],
  ['ce-datacontenttype', /Content-Type alone/, () => binary({ 'ce-datacontenttype': 'text/plain' })],
  ['a time that is none', /time is no RFC 3339/, () => structured({ time: 'yesterday' })],
  ['a month that is none', /time is no RFC 3339/, () => structured({ time: '2018-13-05T17:31:00Z' })],
  ['an empty subject', /subject is empty/, () => structured({ subject: '' })],
  ['a relative dataschema', /dataschema is no URI/, () => structured({ dataschema: '/schema' })],
  ['a name in capitals', /lower-case/, () => structured({ myExtension: 'x' })],
  ['a map as extension', /must be a string/, () => structured({ ext: { a: 1 } })],
  ['a fraction', /32-bit integer/, () => structured({ ext: 1.5 })],
  ['a large integer', /32-bit integer/, () => structured({ ext: 2_147_483_648 })],
  ['a control character', /not allowed/, () => structured({ ext: 'a\u0007' })],
  ['half a surrogate pair', /not allowed/, () => readStructured(Buffer.from(JSON.stringify(WHOLE).replace('"value"', '"\\ud800"')))],
  ['bad base64', /not base64/, () => structured({ data_base64: 'a$b=' })],
  ['data twice', /got both/, () => structured({ data: 'x', data_base64: 'eA==' })],
  ['text data that is no text', /must be a string/, () => structured({ datacontenttype: 'text/plain', data: {} })],
  ['a list', /JSON object/, () => readStructured(Buffer.from('[]'))],
  ['no JSON', /not JSON/, () => readStructured(Buffer.from('{'))],
  ['no UTF-8', /not JSON/, () => readStructured(Buffer.from([0x22, 0xff, 0x22]))],
] as const) {
  test(`CloudEvent with ${what} is refused with what is wrong`, (t) => {
    t.throws(run as () => unknown, { code: 'cloud-event', message })
  })
}

test('batch gives its events in order, and names the one that is wrong', (t) => {
  t.deepEqual(readBatch(Buffer.from('[]')), [])
  const good = [WHOLE, { ...WHOLE, id: '2' }]
  t.deepEqual(
    readBatch(Buffer.from(JSON.stringify(good))).map(({ attributes }) => attributes.get('id')),
    ['C234-1234-1234', '2'],
  )
  t.throws(() => readBatch(Buffer.from(JSON.stringify([WHOLE, { ...WHOLE, id: '' }]))), { message: /event 1: attribute id/ })
  t.throws(() => readBatch(Buffer.from(JSON.stringify(Array.from({ length: BATCH_EVENTS_MAX + 1 }, () => WHOLE)))), {
    code: 'cloud-event-batch-max',
  })
})

test('prototype keys in an event are extensions or errors, and pollute nothing', (t) => {
  t.throws(() => readStructured(Buffer.from(JSON.stringify(WHOLE).replace('{', '{"__proto__":{"polluted":1},'))), {
    message: /attribute names|__proto__/,
  })
  t.is(({} as { polluted?: number }).polluted, undefined)
})

test('event id is the same for the same source and id, and for no other pair', (t) => {
  const id = (more: object) => eventIdOf(structured(more)).toString('hex')
  t.is(id({ time: '2020-01-01T00:00:00Z' }), id({ time: '2021-01-01T00:00:00Z', data: 1 }))
  t.not(id({ source: '/a', id: 'bc' }), id({ source: '/ab', id: 'c' }))
  t.regex(id({}), /^.{12}8.{3}[89ab]/)
})

test('content type tells the mode, and a format that is not spoken is refused', (t) => {
  t.is(modeOf('application/cloudevents+json; charset=UTF-8'), 'structured')
  t.is(modeOf('Application/CloudEvents-Batch+JSON'), 'batched')
  t.is(modeOf('application/json'), null)
  t.is(modeOf(undefined), null)
  t.throws(() => modeOf('application/cloudevents+avro'), { code: 'media-type' })
  t.throws(() => modeOf('application/cloudevents+json; charset=latin1'), { code: 'media-type' })
})

test('answer with ce-type is completed and encoded, any other is left alone', (t) => {
  t.is(answerHeaders({ 'x-a': 'b' }, 'f'), null)
  t.like(answerHeaders({ 'Ce-Type': 'done', 'ce-subject': 'a b', 'x-a': 'b c' }, 'f'), {
    'ce-type': 'done',
    'ce-subject': 'a%20b',
    'ce-specversion': '1.0',
    'ce-source': '/f',
    'x-a': 'b c',
  })
})
