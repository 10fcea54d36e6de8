import test from 'ava'
import { withRig } from '../support/with-rig.ts'
import type { ProcessorRig } from '../support/processor-rig.ts'

const spec = (runtime: string, mode: string, more = '', ackTimeout = '60s') => `
metadata: { name: f }
spec:
  runtime: ${runtime}
  retry: { first: 10ms, max: 1s }
${more}
  triggers:
    in:
      kind: mqtt
      explicitAckMode: ${mode}
      explicitAckTimeout: ${ackTimeout}
      attributes: { subscriptions: [{ topic: 'in/#' }] }
`

/**
 * Keeps every event until one comes that says what to do with all of them: `ack` acknowledges, `nack` refuses. What it emits says
 * which attempt it was. An event `now` is acknowledged by its answer.
 */
const sources = {
  nodejs: [
    'main.mjs',
    `const kept = []
    export function init_context(context) {
      context.platform.set_drain_callback(async () => { for (const o of kept.splice(0)) await context.platform.explicit_ack(o) })
    }
    export async function handler(context, event) {
      const body = String(event.body)
      context.logger.info('got ' + body + ' ' + event.attempt)
      context.emit('out', body + ' ' + event.attempt)
      if (body === 'now') return 'ok'
      if (body === 'early') { await context.platform.explicitAck(event); return 'ok' }
      if (body === 'ack') for (const o of kept.splice(0)) await context.platform.explicit_ack(o)
      if (body === 'nack') for (const o of kept.splice(0)) await context.platform.explicit_nack(o, 'not yet')
      if (body === 'die') process.exit(7)
      if (body === 'ack' || body === 'nack') return 'ok'
      kept.push(context.QualifiedOffset.from_event(event))
      const response = new context.Response('kept')
      response.ensure_no_ack()
      return response
    }`,
  ],
  python: [
    'main.py',
    `import os
import nuclio_sdk
kept = []
def init_context(context):
    def drain():
        while kept:
            context.platform.explicit_ack(kept.pop(0))
    context.platform.set_drain_callback(drain)
def handler(context, event):
    body = event.body.decode()
    context.logger.info('got ' + body + ' ' + str(event.attempt))
    context.emit('out', body + ' ' + str(event.attempt))
    if body == 'now':
        return 'ok'
    if body == 'early':
        context.platform.explicit_ack(event)
        return 'ok'
    while body == 'ack' and kept:
        context.platform.explicit_ack(kept.pop(0))
    while body == 'nack' and kept:
        context.platform.explicit_nack(kept.pop(0), 'not yet')
    if body == 'die':
        os._exit(7)
    if body in ('ack', 'nack'):
        return 'ok'
    kept.append(nuclio_sdk.QualifiedOffset.from_event(event))
    response = nuclio_sdk.Response(body='kept')
    response.ensure_no_ack()
    return response
`,
  ],
  'python async': [
    'main.py',
    `import os
import nuclio_sdk
kept = []
def init_context(context):
    async def drain():
        while kept:
            await context.platform.explicit_ack(kept.pop(0))
    context.platform.set_drain_callback(drain)
async def handler(context, event):
    body = event.body.decode()
    context.logger.info('got ' + body + ' ' + str(event.attempt))
    context.emit('out', body + ' ' + str(event.attempt))
    if body == 'now':
        return 'ok'
    if body == 'early':
        await context.platform.explicit_ack(event)
        return 'ok'
    while body == 'ack' and kept:
        await context.platform.explicit_ack(kept.pop(0))
    while body == 'nack' and kept:
        await context.platform.explicit_nack(kept.pop(0), 'not yet')
    if body == 'die':
        os._exit(7)
    if body in ('ack', 'nack'):
        return 'ok'
    kept.append(nuclio_sdk.QualifiedOffset.from_event(event))
    response = nuclio_sdk.Response(body='kept')
    response.ensure_no_ack()
    return response
`,
  ],
} as const

for (const [name, [file, source]] of Object.entries(sources)) {
  const start = (rig: ProcessorRig, mode = 'enable', more = '', ackTimeout = '60s') =>
    rig.processor.activate(rig.version(spec(name.replace(' async', ''), mode, more, ackTimeout), { [file]: source }))
  const got = (rig: ProcessorRig) => rig.logs.filter(({ message }) => message.startsWith('got')).map(({ message }) => message.slice(4))
  const ledger = async (rig: ProcessorRig) => {
    await rig.store.flush()
    return (await rig.store.ledger()).sources[0]!
  }

  test.serial(`${name} event stays in the inbox until it is acknowledged, and what it emitted waits with it`, withRig, async (t, rig) => {
    await start(rig)
    await rig.publish('in/a', '1')
    await rig.publish('in/a', '2')
    await rig.publish('in/a', 'now')
    await rig.until(async () => (await rig.rows('out')).length === 1)
    // Of the same key as two that wait: it was handled after them, and not held up.
    t.deepEqual(got(rig), ['1 1', '2 1', 'now 1'])
    t.deepEqual(await rig.rows('out'), ['now 1'])
    t.like(await ledger(rig), { accepted: 3, delivered: 1, waiting: 2 })
    await rig.publish('in/a', 'ack')
    await rig.until(async () => (await rig.rows('out')).length === 4)
    t.deepEqual((await rig.rows('out')).slice(1).toSorted(), ['1 1', '2 1', 'ack 1'])
    t.like(await ledger(rig), { accepted: 4, delivered: 4, waiting: 0, balanced: true })
  })

  test.serial(`${name} event that is refused is given again and counted`, withRig, async (t, rig) => {
    await start(rig)
    await rig.publish('in/a', '1')
    await rig.publish('in/a', 'nack')
    await rig.until(() => got(rig).includes('1 2'))
    await rig.publish('in/a', 'ack')
    await rig.until(async () => (await ledger(rig)).delivered === 3)
    t.deepEqual((await rig.rows('out')).toSorted(), ['1 2', 'ack 1', 'nack 1'])
    t.true(rig.logs.some(({ message }) => message.includes('not yet')))
  })

  test.serial(`${name} event that nobody acknowledges in time is given again and, at last, buried`, withRig, async (t, rig) => {
    await start(rig, 'enable', '  maxAttempts: 2', '50ms')
    await rig.publish('in/a', '1')
    await rig.until(async () => (await ledger(rig)).dead === 1)
    t.deepEqual(got(rig), ['1 1', '1 2'])
    // Both come too late, and change nothing.
    await rig.publish('in/a', 'ack')
    await rig.until(async () => (await ledger(rig)).delivered === 1)
    t.deepEqual(await rig.rows('out'), ['ack 1'])
    t.like(await ledger(rig), { accepted: 2, delivered: 1, dead: 1, waiting: 0, balanced: true })
  })

  test.serial(`${name} event that waits when its worker dies is given again and counted`, withRig, async (t, rig) => {
    await start(rig, 'enable', '  maxAttempts: 3')
    await rig.publish('in/a', '1')
    await rig.until(() => got(rig).length === 1)
    await rig.publish('in/b', 'die')
    await rig.until(() => got(rig).includes('1 2') && got(rig).filter((line) => line.startsWith('die')).length >= 1)
    await rig.until(async () => (await ledger(rig)).dead >= 1)
    t.true(got(rig).includes('1 2'))
  })

  test.serial(
    `${name} acknowledgement before the answer counts with the answer; explicitOnly leaves the others`,
    withRig,
    async (t, rig) => {
      await start(rig, 'explicitOnly')
      await rig.publish('in/a', 'now')
      await rig.publish('in/a', 'early')
      await rig.until(async () => (await rig.rows('out')).length === 1)
      t.deepEqual(await rig.rows('out'), ['early 1'])
      t.like(await ledger(rig), { delivered: 1, waiting: 1 })
    },
  )

  test.serial(`${name} drain callback acknowledges what waits when a new version comes`, withRig, async (t, rig) => {
    await start(rig)
    for (const body of ['1', '2']) await rig.publish('in/a', body)
    await rig.until(() => got(rig).length === 2)
    await start(rig)
    t.deepEqual((await rig.rows('out')).toSorted(), ['1 1', '2 1'])
    t.like(await ledger(rig), { accepted: 2, delivered: 2, waiting: 0 })
  })

  test.serial(`${name} event is acknowledged by its answer where the trigger does not allow anything else`, withRig, async (t, rig) => {
    await start(rig, 'disable')
    await rig.publish('in/a', '1')
    await rig.until(async () => (await ledger(rig)).delivered === 1)
    t.deepEqual(await rig.rows('out'), ['1 1'])
  })
}

test.serial('no new event is started while 1,024 are unacknowledged', withRig, async (t, rig) => {
  const source = `export function handler(context, event) {
    context.logger.info('got')
    return new context.Response('kept').ensureNoAck()
  }`
  await rig.processor.activate(rig.version(spec('nodejs', 'enable'), { 'main.mjs': source }))
  await Promise.all(Array.from({ length: 1_100 }, (_, i) => rig.publish(`in/${i}`, 'x')))
  await rig.until(() => rig.logs.length === 1_024)
  await rig.store.flush()
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  t.is(rig.logs.length, 1_024)
})

test.serial('acknowledgement of an attempt that is over does not count for the next one', withRig, async (t, rig) => {
  const source = `let first
  export async function handler(context, event) {
    if (event.attempt === 1) first = context.QualifiedOffset.from_event(event)
    else await context.platform.explicit_ack(first)
    return new context.Response('kept').ensureNoAck()
  }`
  await rig.processor.activate(rig.version(spec('nodejs', 'enable', '  maxAttempts: 2', '50ms'), { 'main.mjs': source }))
  await rig.publish('in/a', '1')
  await rig.until(async () => {
    const [inbox] = (await rig.store.ledger()).sources
    return inbox!.dead + inbox!.delivered === 1
  })
  t.like((await rig.store.ledger()).sources[0]!, { dead: 1, delivered: 0 })
})

test.serial(
  'worker that keeps answered events is not idle: its pool does not shrink until they are acknowledged',
  withRig,
  async (t, rig) => {
    const source = `let kept
  export async function handler(context, event) {
    if (String(event.body) === 'ack') return void (await context.platform.explicit_ack(kept))
    kept = event
    context.logger.info('attempt ' + event.attempt)
    return new context.Response('kept').ensureNoAck()
  }`
    const version = spec('nodejs', 'enable').replace(
      'kind: mqtt',
      'kind: mqtt\n      minWorkers: 0\n      maxWorkers: 1\n      idleTimeout: 100ms',
    )
    await rig.processor.activate(rig.version(version, { 'main.mjs': source }))
    const other = version.replace('name: f', 'name: g').replace('in/#', 'other/#').replace('100ms', '1500ms')
    await rig.processor.activate(rig.version(other, { 'main.mjs': 'export const handler = () => {}' }))
    const readyOf = (name: string) => rig.processor.status().find((status) => status.name === name)!.workers.ready
    const ready = () => readyOf('f')
    await rig.publish('in/a', '1')
    await rig.until(() => ready() === 1)
    // Its neighbour, with a longer idle time, has been idle for so long that its worker is gone.
    await rig.publish('other/a', '1')
    await rig.until(async () => (await rig.store.ledger()).sources.some(({ delivered }) => delivered === 1))
    await rig.until(() => readyOf('g') === 0)
    t.is(ready(), 1)
    await rig.publish('in/a', 'ack')
    await rig.until(() => ready() === 0)
    t.deepEqual(
      rig.logs.map(({ message }) => message).filter((message) => message.startsWith('attempt')),
      ['attempt 1'],
    )
    t.like((await rig.store.ledger()).sources[0]!, { delivered: 2, waiting: 0, balanced: true })
  },
)
