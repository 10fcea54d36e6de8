/** cron, kickstart, file and serial in function.yaml: what they become, and what is said when they are wrong. */
import test from 'ava'
import { ConfigError } from '../../config/config-error.ts'
import { parseFunctionConfig, type TriggerConfig } from '../../config/function-config.ts'

const withTrigger = (trigger: string) => `metadata: {name: f}
spec:
  runtime: nodejs
  triggers:
    t: ${trigger}
`
const triggerOf = (trigger: string): TriggerConfig => parseFunctionConfig(withTrigger(trigger), 'function.yaml').triggers[0]!

test('cron has its policies, by default none and Forbid', (t) => {
  const of = (more: string) => triggerOf(`{kind: cron, attributes: {schedule: "* * * * *"${more}}}`)
  t.like(of(''), { catchUp: 'none', catchUpMax: 100, concurrencyPolicy: 'Forbid', orderKey: 'source' })
  t.like(of(', catchUp: all, catchUpMax: 5, concurrencyPolicy: Allow'), {
    catchUp: 'all',
    catchUpMax: 5,
    concurrencyPolicy: 'Allow',
    orderKey: 'none',
  })
})

test("cron takes Nuclio's Replace as Forbid, with a notice", (t) => {
  const text = withTrigger('{kind: cron, attributes: {schedule: "* * * * *", concurrencyPolicy: Replace}}')
  const { triggers, notices } = parseFunctionConfig(text, 'function.yaml')
  t.like(triggers[0], { concurrencyPolicy: 'Forbid' })
  t.regex(notices[0]!, /^function.yaml:5:\d+ spec.triggers.t.attributes.concurrencyPolicy acts as Forbid here/)
})

test('kickstart gives an empty event at each start when nothing is said', (t) => {
  t.like(triggerOf('{kind: kickstart}'), { body: '', headers: {}, per: 'start', delivery: 'durable', orderKey: 'source' })
  t.like(triggerOf('{kind: kickstart, attributes: {per: version, event: {body: go, headers: {n: 1}}}}'), {
    body: 'go',
    headers: { n: '1' },
    per: 'version',
  })
})

test('file has defaults for everything but its folders', (t) => {
  t.like(triggerOf('{kind: file, attributes: {paths: [/data/in/]}}'), {
    paths: ['/data/in'],
    globs: ['*'],
    events: ['create', 'change'],
    body: 'content',
    maxBodyBytes: 4 * 1024 * 1024,
    stableMs: 1000,
    initial: true,
    after: 'keep',
    moveTo: null,
    delivery: 'durable',
    orderKey: 'source',
  })
})

test('serial has defaults for everything but its port: lines at 9600 baud', (t) => {
  const serial = triggerOf('{kind: serial, attributes: {path: /dev/ttyUSB0}}')
  t.like(serial, { baudRate: 9600, dataBits: 8, parity: 'none', stopBits: 1, maxFrameBytes: 4096, delivery: 'durable', reply: false })
  t.deepEqual(serial.kind === 'serial' && serial.framing, { kind: 'delimiter', delimiter: Uint8Array.of(10), includeDelimiter: false })
  t.is(triggerOf('{kind: serial, attributes: {path: /dev/ttyUSB0, reply: true}}').delivery, 'direct')
})

for (const [written, bytes] of [
  ['\\r\\n', [13, 10]],
  ['\\x03', [3]],
  ['\\\\n', [92, 110]],
  ['\\xffé', [255, 0xc3, 0xa9]],
  ['€\\0', [0xe2, 0x82, 0xac, 0]],
] as const) {
  test(`serial delimiter ${written} is ${bytes.join(' ')}`, (t) => {
    const serial = triggerOf(`{kind: serial, attributes: {path: /dev/ttyS0, delimiter: '${written}'}}`)
    t.deepEqual(serial.kind === 'serial' && serial.framing.kind === 'delimiter' && [...serial.framing.delimiter], [...bytes])
  })
}

for (const [trigger, path, message] of [
  ['{kind: cron, attributes: {schedule: "61 * * * *"}}', 'schedule', /a schedule whose minute is/],
  ['{kind: cron, attributes: {schedule: "0 0 30 2 *"}}', 'schedule', /a day that exists/],
  ['{kind: cron, attributes: {schedule: "* * * * *", catchUp: some}}', 'catchUp', /none.*last.*all/],
  ['{kind: cron, attributes: {schedule: "* * * * *", catchUpMax: 1001}}', 'catchUpMax', /at most 1000/],
  ['{kind: kickstart, attributes: {per: boot}}', 'per', /start.*version/],
  ['{kind: file, attributes: {paths: [in]}}', 'paths[0]', /an absolute path/],
  ['{kind: file, attributes: {paths: [/in], glob: ../x}}', 'glob', /a pattern below the folder/],
  ['{kind: file, attributes: {paths: [/in], after: move}}', 'after', /moveTo beside it/],
  ['{kind: file, attributes: {paths: [/in], moveTo: /done}}', 'moveTo', /after: move beside it/],
  ['{kind: file, attributes: {paths: [/in], after: move, moveTo: /in/}}', 'moveTo', /another folder/],
  ['{kind: file, attributes: {paths: [/in], after: delete, body: path}}', 'after', /body: content/],
  ['{kind: file, attributes: {paths: [/in], after: delete, events: [create]}}', 'events', /change among them/],
  ['{kind: file, delivery: direct, attributes: {paths: [/in], after: delete}}', 'after', /keep with delivery: direct/],
  ['{kind: serial, attributes: {path: ttyUSB0}}', 'path', /a device such as/],
  ['{kind: serial, attributes: {path: /dev/a, delimiter: x, length: 3}}', '', /expected one of delimiter.*got delimiter and length/],
  ['{kind: serial, attributes: {path: /dev/a, delimiter: "\\\\q"}}', 'delimiter', /escapes/],
  ['{kind: serial, attributes: {path: /dev/a, regex: "a*"}}', 'regex', /does not match the empty text/],
  ['{kind: serial, attributes: {path: /dev/a, regex: "("}}', 'regex', /a regular expression/],
  ['{kind: serial, attributes: {path: /dev/a, length: 5000}}', 'length', /at most maxFrameSize/],
  ['{kind: serial, attributes: {path: /dev/a, baud: 9600}}', 'baud', /unknown key/],
] as const) {
  test(`${trigger} is refused with its place`, (t) => {
    const error = t.throws(() => triggerOf(trigger), { instanceOf: ConfigError })
    const [problem, ...more] = error.problems
    t.deepEqual(more, [])
    t.regex(problem!.message, message)
    t.is(problem!.path.replace('spec.triggers.t.attributes', '').replace(/^\./, ''), path)
    t.is(problem!.line, 5)
    t.true(problem!.column > 5)
  })
}

test('serial reply with delivery durable is refused', (t) => {
  const error = t.throws(() => triggerOf('{kind: serial, delivery: durable, attributes: {path: /dev/a, reply: true}}'), {
    instanceOf: ConfigError,
  })
  t.is(error.problems[0]!.path, 'spec.triggers.t.delivery')
})
