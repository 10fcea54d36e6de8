import test from 'ava'
import { bodyOf } from '../../runtime/event/event-writer.ts'
import { withRig } from '../support/with-rig.ts'

/** A function `f` with one trigger: the local broker's topics in/#. */
const spec = (runtime: string, handler: string, more = '', triggers = MQTT) => `
metadata: { name: f }
spec:
  runtime: ${runtimeOf(runtime)}
  handler: ${handler}
  retry: { first: 10ms, max: 1s }
${more}
  triggers:
${triggers}`
const MQTT = `    in: { kind: mqtt, attributes: { subscriptions: [{ topic: 'in/#', qos: 1 }] } }`

/** The runtimes as the tables below name them. */
const runtimeOf = (name: string): string => (name === 'node child' ? 'nodejs\n  isolation: process' : name)

const echoes = {
  'nodejs ES module': [
    'nodejs',
    'main.mjs',
    `export async function handler(context, event) { context.emit('out', event.topic + ':' + event.body) }`,
  ],
  'nodejs TypeScript': [
    'nodejs',
    'main.ts',
    `export const handler = (context: any, event: { topic: string; body: Buffer }): void => context.emit('out', event.topic + ':' + event.body)`,
  ],
  'nodejs CommonJS with a callback': [
    'nodejs',
    'main.cjs',
    `exports.handler = function (context, event) { context.emit('out', event.topic + ':' + event.body); context.callback('ok') }`,
  ],
  'node child': [
    'node child',
    'main.mjs',
    `export async function handler(context, event) { await null; context.emit('out', event.topic + ':' + event.body) }`,
  ],
  'python sync': ['python', 'main.py', `def handler(context, event):\n    context.emit('out', event.topic + ':' + event.body.decode())\n`],
  'python async': [
    'python',
    'main.py',
    `import asyncio\nasync def handler(context, event):\n    await asyncio.sleep(0.001)\n    context.emit('out', event.topic + ':' + event.body.decode())\n`,
  ],
} as const

for (const [title, [runtime, file, source]] of Object.entries(echoes)) {
  test.serial(`${title} handler emits each message once, in the order of its topic`, withRig, async (t, rig) => {
    await rig.processor.activate(rig.version(spec(runtime, 'main:handler'), { [file]: source }))
    await Promise.all(Array.from({ length: 200 }, (_, i) => rig.publish(`in/${i % 2}`, String(i))))
    await rig.until(async () => (await rig.rows('out')).length >= 200)
    const rows = await rig.rows('out')
    for (const key of [0, 1]) {
      const own = rows.filter((row) => row.startsWith(`in/${key}:`)).map((row) => Number(row.split(':')[1]))
      t.deepEqual(
        own,
        Array.from({ length: 100 }, (_, i) => 2 * i + key),
      )
    }
    const [inbox] = (await rig.store.ledger()).sources
    t.like(inbox!, { accepted: 200, delivered: 200, waiting: 0, dead: 0, balanced: true })
  })
}

test.serial('shell function answers with its output, and the answer goes to the output stream', withRig, async (t, rig) => {
  const script = '#!/bin/sh\nread -r line\nprintf "%s|%s|%s" "$NUCLIO_EVENT_TOPIC" "$1" "$line"\necho noticed >&2\n'
  const version = rig.version(spec('shell', 'alert.sh', `  outputStream: alerts\n  runtimeAttributes: { arguments: ['a b; $(id)'] }`), {
    'alert.sh': script,
  })
  await rig.processor.activate(version)
  await rig.publish('in/x; touch /tmp/owned', '`id`')
  await rig.until(async () => (await rig.rows('alerts')).length === 1)
  t.deepEqual(await rig.rows('alerts'), ['in/x; touch /tmp/owned|a b; $(id)|`id`'])
  t.is(rig.logs[0]!.message, 'noticed')
})

const state = {
  nodejs: [
    'main.mjs',
    `export async function handler(context, event) {\n  const sum = ((await context.state.get('sum')) ?? 0) + Number(event.body)\n  context.state.set('sum', sum)\n  context.emit('sums', String(sum))\n}`,
  ],
  python: [
    'main.py',
    `def handler(context, event):\n    total = (context.state.get('sum') or 0) + int(event.body)\n    context.state.set('sum', total)\n    context.emit('sums', str(total))\n`,
  ],
} as const

for (const [runtime, [file, source]] of Object.entries(state)) {
  test.serial(`${runtime} handler's state is what the event before it set, and survives a new version`, withRig, async (t, rig) => {
    await rig.processor.activate(rig.version(spec(runtime, 'main:handler'), { [file]: source }))
    for (const n of [1, 2, 3]) void rig.publish('in/a', String(n))
    await rig.until(async () => (await rig.rows('sums')).length === 3)
    await rig.processor.activate(rig.version(spec(runtime, 'main:handler'), { [file]: source }))
    await rig.publish('in/a', '4')
    await rig.until(async () => (await rig.rows('sums')).length === 4)
    t.deepEqual(await rig.rows('sums'), ['1', '3', '6', '10'])
  })
}

const failing = {
  'nodejs throws': [
    'nodejs',
    'main.mjs',
    `export async function handler(context, event) { if (String(event.body) === 'bad') throw new Error('no good'); context.emit('out', String(event.body)) }`,
    /no good/,
  ],
  'nodejs rejects late': [
    'nodejs',
    'main.mjs',
    `export async function handler(context, event) { context.emit('out', String(event.body)); await null; if (String(event.body) === 'bad') throw new Error('no good') }`,
    /no good/,
  ],
  'nodejs exits': [
    'nodejs',
    'main.mjs',
    `export async function handler(context, event) { if (String(event.body) === 'bad') process.exit(3); context.emit('out', String(event.body)) }`,
    /exit code 3/,
  ],
  'nodejs hangs': [
    'nodejs',
    'main.mjs',
    `export function handler(context, event) { if (String(event.body) === 'bad') for (;;); context.emit('out', String(event.body)) }`,
    /did not answer within/,
  ],
  'node child rejects': [
    'node child',
    'main.mjs',
    `export async function handler(context, event) { context.emit('out', String(event.body)); await null; if (String(event.body) === 'bad') throw new Error('no good') }`,
    /no good/,
  ],
  'node child throws later': [
    'node child',
    'main.mjs',
    `export async function handler(context, event) { if (String(event.body) === 'bad') { setImmediate(() => { throw new Error('no good') }); await new Promise(() => {}) } context.emit('out', String(event.body)) }`,
    /exit code 1: uncaught Error: no good/,
  ],
  'node child exits': [
    'node child',
    'main.mjs',
    `export async function handler(context, event) { if (String(event.body) === 'bad') process.exit(3); context.emit('out', String(event.body)) }`,
    /exit code 3/,
  ],
  'node child kills itself': [
    'node child',
    'main.mjs',
    `export async function handler(context, event) { if (String(event.body) === 'bad') process.kill(process.pid, 'SIGKILL'); context.emit('out', String(event.body)) }`,
    /killed by SIGKILL/,
  ],
  'node child blocks': [
    'node child',
    'main.mjs',
    `import { execFileSync } from 'node:child_process'\nexport function handler(context, event) { if (String(event.body) === 'bad') execFileSync('sleep', ['1000']); context.emit('out', String(event.body)) }`,
    /did not answer within/,
  ],
  'node child fills its heap': [
    'node child',
    'main.mjs',
    `export function handler(context, event) { const kept = []; while (String(event.body) === 'bad') kept.push(new Array(1e5).fill(kept.length)); context.emit('out', String(event.body)) }`,
    /JavaScript heap is larger than/,
  ],
  'python raises': [
    'python',
    'main.py',
    `def handler(context, event):\n    if event.body == b'bad':\n        raise ValueError('no good')\n    context.emit('out', event.body)\n`,
    /no good/,
  ],
  'python exits': [
    'python',
    'main.py',
    `import os\ndef handler(context, event):\n    if event.body == b'bad':\n        os._exit(3)\n    context.emit('out', event.body)\n`,
    /exit code 3/,
  ],
  'python hangs': [
    'python',
    'main.py',
    `import time\ndef handler(context, event):\n    if event.body == b'bad':\n        time.sleep(1000)\n    context.emit('out', event.body)\n`,
    /did not answer within/,
  ],
  'shell fails': [
    'shell',
    'main.sh',
    `#!/bin/sh\nbody=$(cat)\nif [ "$body" = bad ]; then echo no good >&2; exit 4; fi\nprintf "%s" "$body"\n`,
    /exit code 4: no good/,
  ],
  'shell hangs': [
    'shell',
    'main.sh',
    `#!/bin/sh\nbody=$(cat)\nif [ "$body" = bad ]; then sleep 1000; fi\nprintf "%s" "$body"\n`,
    /did not end within/,
  ],
} as const

/** Short where the time-out is what the row is about, or cannot come in its way. */
function timeoutOf(runtime: string, title: string): string {
  if (title.endsWith('fills its heap')) return '30s'
  return runtime === 'shell' ? '2s' : '500ms'
}

for (const [title, [runtime, file, source, reason]] of Object.entries(failing)) {
  test.serial(`event whose handler ${title} is tried again, then goes to the dead letters, and others flow on`, withRig, async (t, rig) => {
    const handler = runtime === 'shell' ? file : 'main:handler'
    const more = `  maxAttempts: 2\n  eventTimeout: ${timeoutOf(runtime, title)}${runtime === 'shell' ? '\n  outputStream: out' : ''}`
    await rig.processor.activate(rig.version(spec(runtime, handler, more), { [file]: source }))
    await Promise.all(['a', 'bad', 'b', 'c'].map((body) => rig.publish(`in/${body}`, body)))
    await rig.until(async () => (await rig.store.deadLetters(10)).length === 1 && (await rig.rows('out')).length >= 3)
    const [letter] = await rig.store.deadLetters(10)
    t.like(letter, { function: 'f', version: '1', attempts: 2 })
    t.regex(letter!.error, reason)
    t.is(bodyOf(letter!.record).toString(), 'bad')
    t.true(rig.logs.some(({ level, message }) => level === 40 && message.startsWith('attempt 1 failed') && reason.test(message)))
    t.deepEqual((await rig.rows('out')).sort(), ['a', 'b', 'c'])
    t.like((await rig.store.ledger()).sources[0]!, { accepted: 4, delivered: 3, dead: 1, waiting: 0, balanced: true })
  })
}

test.serial('retry holds back later events of the same topic only', withRig, async (t, rig) => {
  const source = `let tries = 0\nexport function handler(context, event) { if (String(event.body) === 'slow' && tries++ < 2) throw new Error('later'); context.emit('out', String(event.body)) }`
  await rig.processor.activate(rig.version(spec('nodejs', 'main:handler'), { 'main.mjs': source }))
  await Promise.all([rig.publish('in/a', 'slow'), rig.publish('in/a', 'behind'), rig.publish('in/b', 'free')])
  await rig.until(async () => (await rig.rows('out')).length === 3)
  t.deepEqual(await rig.rows('out'), ['free', 'slow', 'behind'])
})

const failsAtFirst = `seen = set()
def handler(context, event):
    n = int(event.body)
    total = (context.state.get('sum') or 0) + n
    context.state.set('sum', total)
    if n % 7 == 0 and n not in seen:
        seen.add(n)
        raise ValueError('at first')
    context.emit('sums', str(total))
`

test.serial(
  'python events of one topic are committed in order, each once, when some fail and later ones had run ahead',
  withRig,
  async (t, rig) => {
    await rig.processor.activate(rig.version(spec('python', 'main:handler'), { 'main.py': failsAtFirst }))
    const numbers = Array.from({ length: 60 }, (_, i) => i + 1)
    await Promise.all(numbers.map((n) => rig.publish('in/a', String(n))))
    await rig.until(async () => (await rig.rows('sums')).length === numbers.length)
    t.deepEqual(
      await rig.rows('sums'),
      numbers.map((n) => String((n * (n + 1)) / 2)),
    )
  },
)

test.serial('python state shared by topics holds no trace of outcomes that were not committed', withRig, async (t, rig) => {
  await rig.processor.activate(rig.version(spec('python', 'main:handler'), { 'main.py': failsAtFirst }))
  const numbers = Array.from({ length: 300 }, (_, i) => i + 1)
  await Promise.all(numbers.map((n) => rig.publish(`in/${n % 5}`, String(n))))
  await rig.until(async () => (await rig.rows('sums')).length === numbers.length)
  const sums = (await rig.rows('sums')).map(Number)
  // Each step adds its own number to what the step before it left: as if they had run one after the other.
  const added = sums.map((sum, i) => sum - (sums[i - 1] ?? 0))
  t.deepEqual(
    [...added].sort((a, b) => a - b),
    numbers,
  )
  const [inbox] = (await rig.store.ledger()).sources
  t.like(inbox!, { accepted: 300, delivered: 300, dead: 0, waiting: 0, balanced: true })
})

test.serial('direct call gets the answer, the failure, or why there is none', withRig, async (t, rig) => {
  const source = `export async function handler(context, event) { if (String(event.body) === 'bad') throw new Error('no good'); return new context.Response({ body: { ok: true }, statusCode: 201, headers: { 'x-a': 'b' } }) }`
  await rig.processor.activate(rig.version(spec('nodejs', 'main:handler'), { 'main.mjs': source }))
  const answer = await rig.invoke('f', 'good')
  t.like(answer, { status: 201, contentType: 'application/json' })
  t.is(answer.body.toString(), '{"ok":true}')
  t.is(answer.headers['x-a'], 'b')
  t.like(await rig.invoke('f', 'bad'), { status: 500, error: 'Error: no good' })
  t.is((await rig.invoke('nobody', '')).status, 404)
})

test.serial('event of QoS 0 is handled without the inbox', withRig, async (t, rig) => {
  const source = `export function handler(context, event) { context.emit('out', 'qos ' + event.qos) }`
  await rig.processor.activate(rig.version(spec('nodejs', 'main:handler'), { 'main.mjs': source }))
  await rig.publish('in/a', 'x', 0)
  await rig.until(async () => (await rig.rows('out')).length === 1)
  t.deepEqual(await rig.rows('out'), ['qos 0'])
})

test.serial('function that does not start leaves the version before it running', withRig, async (t, rig) => {
  await rig.processor.activate(rig.version(spec('nodejs', 'main:handler'), { 'main.mjs': `export const handler = () => 'one'` }))
  const broken = rig.version(spec('nodejs', 'main:handler'), {
    'main.mjs': `export const handler = () => 'two'\nexport function init_context() { throw new Error('no database') }`,
  })
  await t.throwsAsync(rig.processor.activate(broken), { message: /no database/ })
  t.is((await rig.invoke('f', '')).body.toString(), 'one')
})

test.serial('event published by a function reaches the function that listens', withRig, async (t, rig) => {
  const source = `export function handler(context, event) { if (event.topic === 'in/first') context.publish('in/second', 'from ' + event.body); else context.emit('out', String(event.body)) }`
  await rig.processor.activate(rig.version(spec('nodejs', 'main:handler'), { 'main.mjs': source }))
  await rig.publish('in/first', 'x')
  await rig.until(async () => (await rig.rows('out')).length === 1)
  t.deepEqual(await rig.rows('out'), ['from x'])
})

test.serial('more events than fit into memory are handled in order from the inbox', withRig, async (t, rig) => {
  const source = `export function handler(context, event) { context.emit('out', String(event.body)) }`
  const gate = rig.version(spec('nodejs', 'main:handler'), { 'main.mjs': source })
  await rig.processor.activate(gate)
  await Promise.all(Array.from({ length: 20_000 }, (_, i) => rig.publish('in/a', String(i))))
  await rig.until(async () => (await rig.store.ledger()).sources[0]!.delivered === 20_000)
  t.deepEqual(
    await rig.rows('out'),
    Array.from({ length: 20_000 }, (_, i) => String(i)),
  )
})
