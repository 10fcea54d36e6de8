import test from 'ava'
import { withRig } from '../support/with-rig.ts'

/** Each event waits until as many are running as `concurrency` says, and tells how many there were at the most. */
const handlers = {
  nodejs: [
    'main.mjs',
    `let running = 0, most = 0, open = () => {}
    let full = new Promise((resolve) => (open = resolve))
    export async function handler(context, event) {
      most = Math.max(most, ++running)
      if (running === 8) open()
      await full
      for (let i = 0; i < 5; i++) await null
      running--
      context.emit('out', event.topic + ' ' + event.body + ' ' + most)
    }`,
  ],
  python: [
    'main.py',
    `import asyncio
running = most = 0
full = asyncio.Event()
async def handler(context, event):
    global running, most
    running += 1
    most = max(most, running)
    if running == 8:
        full.set()
    await full.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    running -= 1
    context.emit('out', event.topic + ' ' + event.body.decode() + ' ' + str(most))
`,
  ],
} as const

for (const [runtime, [file, source]] of Object.entries(handlers)) {
  test.serial(`${runtime} worker has as many events in flight as concurrency says, of one topic one at a time`, withRig, async (t, rig) => {
    const spec = `metadata: { name: f }
spec:
  runtime: ${runtime}
  triggers: { in: { kind: mqtt, concurrency: 8, attributes: { subscriptions: [{ topic: 'in/#' }] } } }
`
    await rig.processor.activate(rig.version(spec, { [file]: source }))
    await Promise.all(Array.from({ length: 200 }, (_, i) => rig.publish(`in/${i % 20}`, String(i))))
    await rig.until(async () => (await rig.rows('out')).length === 200)
    const rows = (await rig.rows('out')).map((row) => row.split(' '))
    t.is(Math.max(...rows.map(([, , most]) => Number(most))), 8)
    for (const [topic, own] of Map.groupBy(rows, ([topic]) => topic)) {
      const numbers = own.map(([, n]) => Number(n))
      t.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
        topic,
      )
    }
  })
}
