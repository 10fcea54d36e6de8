/** The serial trigger over ptys that socat makes: the kernel's own terminals, without the wire. */
import test, { type ExecutionContext } from 'ava'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { collectGarbage } from '../support/collect-garbage.ts'
import { needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { SerialLine } from '../support/serial-line.ts'
import { tempDir } from '../support/temp-dir.ts'

const onLine = needs(test.serial, 'socat')

async function withLine(t: ExecutionContext, run: (rig: ProcessorRig, line: SerialLine) => Promise<void>): Promise<void> {
  const directory = tempDir(t)
  const folder = path.join(directory, 'line')
  mkdirSync(folder)
  const rig = await ProcessorRig.open(directory)
  const line = new SerialLine(folder)
  try {
    await line.plugIn()
    await run(rig, line)
  } finally {
    await rig.close()
    await line.pullOut()
  }
}

const start = (rig: ProcessorRig, line: SerialLine, attributes: object, source?: string) =>
  rig.processor.activate(
    rig.version(
      `
metadata: { name: f }
spec:
  runtime: nodejs
  handler: main:handler
  triggers:
    scale: ${JSON.stringify({ kind: 'serial', attributes: { path: line.port, ...attributes } })}`,
      {
        'main.mjs':
          source ??
          `export const handler = (context, event) => context.emit('out', [event.topic, event.path, event.body.toString()].join(' '))`,
      },
    ),
  )

onLine('serial line by line: each is an event that tells its trigger and port', (t) =>
  withLine(t, async (rig, line) => {
    await start(rig, line, { baudRate: 115200, delimiter: '\\r\\n' })
    await line.send('12.5 kg\r\n13')
    await line.send('.0 kg\r\n')
    await rig.until(async () => (await rig.rows('out')).length === 2)
    t.deepEqual(await rig.rows('out'), [`scale ${line.port} 12.5 kg`, `scale ${line.port} 13.0 kg`])
  }),
)

onLine('serial frame ends with a pause', (t) =>
  withLine(t, async (rig, line) => {
    await start(rig, line, { idle: '50ms' })
    await line.send('one')
    await rig.until(async () => (await rig.rows('out')).length === 1)
    await line.send('two')
    await rig.until(async () => (await rig.rows('out')).length === 2)
    t.deepEqual(
      (await rig.rows('out')).map((row) => row.split(' ')[2]),
      ['one', 'two'],
    )
  }),
)

onLine('serial handler answers to the port with reply: true', (t) =>
  withLine(t, async (rig, line) => {
    await start(rig, line, { reply: true }, `export const handler = (context, event) => 'ack ' + event.body + '\\n'`)
    await line.send('a\nb\n')
    t.is(await line.answered(12), 'ack a\nack b\n')
  }),
)

onLine('serial port that is unplugged is opened again within five seconds of being back', (t) =>
  withLine(t, async (rig, line) => {
    await start(rig, line, {})
    await line.send('before\nhalf a fr')
    await rig.until(async () => (await rig.rows('out')).length === 1)
    await line.pullOut()
    await line.plugIn()
    const since = performance.now()
    // Nobody tells when the port is open: what is sent before that is lost, as on any line.
    await rig.until(async () => {
      await line.send('after\n')
      return (await rig.rows('out')).length >= 2
    })
    t.true(performance.now() - since < 8_000)
    t.is((await rig.rows('out'))[1], `scale ${line.port} after`)
  }),
)

onLine('serial port that is not there at the start is waited for', (t) =>
  withLine(t, async (rig, line) => {
    await line.pullOut()
    await start(rig, line, {})
    await line.plugIn()
    await rig.until(async () => {
      await line.send('here\n')
      return (await rig.rows('out')).length >= 1
    })
    t.is((await rig.rows('out'))[0], `scale ${line.port} here`)
  }),
)

onLine('serial garbage of 10 MB without a delimiter is dropped, and the next good frame is seen', (t) =>
  withLine(t, async (rig, line) => {
    await start(rig, line, { maxFrameSize: '4KiB' })
    collectGarbage()
    const before = process.memoryUsage().arrayBuffers
    const chunk = Buffer.alloc(64 * 1024, 'x')
    for (let i = 0; i < 160; i++) await line.send(chunk)
    await line.send('\ngood\n')
    await rig.until(async () => (await rig.rows('out')).length === 1)
    t.is((await rig.rows('out'))[0], `scale ${line.port} good`)
    collectGarbage()
    t.true(process.memoryUsage().arrayBuffers - before < 8 * 1024 * 1024)
  }),
)

onLine('serial frames that come faster than they are stored wait in the line, and none is lost', (t) =>
  withLine(t, async (rig, line) => {
    await start(rig, line, {})
    let sent = 0
    for (let block = 0; block < 20; block++) {
      let text = ''
      for (let i = 0; i < 1_000; i++) text += `${sent++}\n`
      await line.send(text)
    }
    await rig.until(async () => (await rig.rows('out')).length === 20_000)
    t.deepEqual(
      (await rig.rows('out')).map((row) => Number(row.split(' ')[2])),
      Array.from({ length: 20_000 }, (_, n) => n),
    )
  }),
)
