import { request, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import test from 'ava'
import { setLogLevel } from '../../runtime/event/event-writer.ts'
import type { BodyStream } from '../../runtime/dispatch/body-stream.ts'
import type { Answer } from '../../runtime/dispatch/delivery.ts'
import type { ProcessorRig } from '../support/processor-rig.ts'
import { withRig } from '../support/with-rig.ts'

const spec = (runtime: string, more = '') => `
metadata: { name: f }
spec:
  runtime: ${runtime}
${more}
  triggers:
    web: { kind: http, attributes: { paths: [/f] } }
`

const ALL_BYTES = 'one,two,three'.length + 64 * 65_536

/** What the functions below do, by the first word of the body: parts, fail, endless, flood. */
const sources = {
  nodejs: [
    'main.mjs',
    `import { setTimeout as wait } from 'node:timers/promises'
    export async function handler(context, event) {
      const how = String(event.body)
      async function* parts() {
        try {
          yield 'one,'
          context.emit('out', 'emitted between parts')
          await null
          yield Buffer.from('two,')
          if (how === 'fail') throw new Error('midway')
          if (how === 'endless') for (;;) { yield 'more,'; await wait(1) }
          if (how === 'flood') for (let i = 0; i < 64; i++) { context.logger.info('sent ' + i); yield Buffer.alloc(64 * 1024, 46) }
          yield 'three'
        } finally { context.logger.info('closed') }
      }
      if (how === 'web') return new ReadableStream({ start(c) { c.enqueue('from a '); c.enqueue('ReadableStream'); c.close() } })
      return new context.Response({ body: parts(), contentType: 'text/csv', statusCode: 206, headers: { 'x-a': '1' } })
    }`,
  ],
  python: [
    'main.py',
    `import time
def parts(context, how):
    try:
        yield 'one,'
        context.emit('out', 'emitted between parts')
        yield b'two,'
        if how == 'fail':
            raise ValueError('midway')
        while how == 'endless':
            yield 'more,'
            time.sleep(0.001)
        if how == 'flood':
            for i in range(64):
                context.logger.info('sent ' + str(i))
                yield b'.' * 65536
        yield 'three'
    finally:
        context.logger.info('closed')
def handler(context, event):
    how = event.body.decode()
    if how == 'web':
        return iter(['from a ', 'ReadableStream'])
    return context.Response(body=parts(context, how), content_type='text/csv', status_code=206, headers={'x-a': '1'})
`,
  ],
  'python async': [
    'main.py',
    `import asyncio
async def parts(context, how):
    try:
        yield context.Response(body='one,', content_type='text/csv', status_code=206, headers={'x-a': '1'})
        context.emit('out', 'emitted between parts')
        await asyncio.sleep(0)
        yield b'two,'
        if how == 'fail':
            raise ValueError('midway')
        while how == 'endless':
            yield 'more,'
            await asyncio.sleep(0.001)
        if how == 'flood':
            for i in range(64):
                context.logger.info('sent ' + str(i))
                yield b'.' * 65536
        yield 'three'
    finally:
        context.logger.info('closed')
async def handler(context, event):
    how = event.body.decode()
    if how == 'web':
        return iter(['from a ', 'ReadableStream'])
    return parts(context, how)
`,
  ],
} as const

for (const [name, [file, source]] of Object.entries(sources)) {
  const start = (rig: ProcessorRig, more = '') =>
    rig.processor.activate(rig.version(spec(name.replace(' async', ''), more), { [file]: source }))
  const lines = (rig: ProcessorRig) => rig.logs.map(({ message }) => message)

  test.serial(
    `${name} generator's parts arrive one after the other, and what it emits is committed with the end`,
    withRig,
    async (t, rig) => {
      await start(rig)
      const response = await post(rig, 'parts')
      t.is(response.statusCode, 206)
      t.like(response.headers, { 'content-type': 'text/csv', 'x-a': '1' })
      t.is(await text(response), 'one,two,three')
      t.deepEqual(await rig.rows('out'), ['emitted between parts'])
      t.is(await text(await post(rig, 'web')), 'from a ReadableStream')
    },
  )

  test.serial(`${name} generator that fails midway breaks the connection off, and nothing is committed`, withRig, async (t, rig) => {
    await start(rig)
    const response = await post(rig, 'fail')
    const error = await t.throwsAsync(text(response))
    t.is((error as NodeJS.ErrnoException).code, 'ECONNRESET')
    await rig.until(() => lines(rig).some((line) => line.includes('midway')))
    t.deepEqual(await rig.rows('out'), [])
  })

  test.serial(`${name} generator is closed when its client goes away`, withRig, async (t, rig) => {
    await start(rig)
    const response = await post(rig, 'endless')
    await new Promise((resolve) => response.once('data', resolve))
    response.destroy()
    await rig.until(() => lines(rig).includes('closed'))
    t.is(await text(await post(rig, 'parts')), 'one,two,three')
  })

  test.serial(`${name} generator waits for a reader that is slow`, withRig, async (t, rig) => {
    await start(rig)
    const streamed = await streamOf(rig, 'flood')
    const sent = () => lines(rig).filter((line) => line.startsWith('sent')).length
    let bytes = 0
    const ended = Promise.withResolvers<Error | null>()
    streamed.body.read({ part: (part) => (bytes += part.length), end: ended.resolve })
    await rig.until(() => bytes >= 256 * 1024)
    // Another call goes through the whole worker and back: the generator had every chance to go on.
    if (name !== 'python') t.is((await rig.invoke('f', 'parts')).body.toString(), 'one,two,three')
    t.is(bytes, 256 * 1024)
    t.true(sent() <= 6)
    for (let taken = 0; taken < bytes;) {
      const now = bytes
      streamed.body.taken(now - taken)
      taken = now
      await rig.until(() => bytes > taken || bytes === ALL_BYTES)
    }
    t.is(await ended.promise, null)
    t.is(bytes, ALL_BYTES)
  })

  test.serial(`${name} generator's answer to a caller that takes no parts is one body`, withRig, async (t, rig) => {
    await start(rig, '  outputStream: kept')
    const answer = await rig.invoke('f', 'parts')
    t.like(answer, { status: 206, contentType: 'text/csv' })
    t.is(answer.body.toString(), 'one,two,three')
    t.deepEqual(await rig.rows('kept'), ['one,two,three'])
    const failed = await rig.invoke('f', 'fail')
    t.is(failed.status, 500)
    t.regex(failed.error!, /midway/)
  })
}

test.serial('caller that takes nothing of a stream for the event time-out loses it, and the worker goes on', withRig, async (t, rig) => {
  const [file, source] = sources['python async']
  await rig.processor.activate(rig.version(spec('python', '  eventTimeout: 300ms'), { [file]: source }))
  const { body } = await streamOf(rig, 'flood')
  const ended = Promise.withResolvers<Error | null>()
  body.read({ part: () => {}, end: ended.resolve })
  t.regex((await ended.promise)!.message, /300 ms/)
  await rig.until(() => rig.logs.some(({ message }) => message === 'closed'))
  t.is((await rig.invoke('f', 'parts')).body.toString(), 'one,two,three')
})

for (const [name, [file, source]] of Object.entries(sources)) {
  test.serial(
    `${name} worker that dies in the middle of an answer breaks it off, and the caller gets no second one`,
    withRig,
    async (t, rig) => {
      const ends = name === 'nodejs' ? "if (how === 'endless') process.exit(3)" : "__import__('os')._exit(3) if how == 'endless' else None"
      const deadly = source.replace(/(\n *)(yield (?:Buffer.from\('two,'\)|b'two,'))/, `$1$2$1${ends}`)
      await rig.processor.activate(rig.version(spec(name.replace(' async', '')), { [file]: deadly }))
      const { body } = await streamOf(rig, 'endless')
      const parts: string[] = []
      const error = await new Promise<Error | null>((end) => body.read({ part: (bytes) => void parts.push(bytes.toString()), end }))
      t.regex(error!.message, /exit code 3/)
      t.is(parts.join(''), 'one,two,')
      t.is(await text(await post(rig, 'parts')), 'one,two,three')
    },
  )
}

const logging = {
  nodejs: [
    'main.mjs',
    `export async function handler(context, event) { context.logger.debugWith('seen', { n: 1 }); await null; context.logger.info('done'); return 'ok' }`,
  ],
  python: [
    'main.py',
    `def handler(context, event):\n    context.logger.debug_with('seen', n=1)\n    context.logger.info('done')\n    return 'ok'\n`,
  ],
} as const

for (const [runtime, [file, source]] of Object.entries(logging)) {
  test.serial(`${runtime} event's log lines are told to the caller who wants them, from the level it names`, withRig, async (t, rig) => {
    await rig.processor.activate(rig.version(spec(runtime), { [file]: source }))
    const call = (level: number): Promise<Answer> => {
      const record = rig.processor.events.finish(Buffer.from('x'))
      setLogLevel(record, level)
      return new Promise((resolve) => rig.processor.invoke('f', record, resolve))
    }
    t.deepEqual(
      (await call(10)).logs!.map(({ level, message, fields }) => [level, message, fields]),
      [
        [10, 'seen', runtime === 'nodejs' ? '{"n":1}' : '{"n": 1}'],
        [20, 'done', ''],
      ],
    )
    t.deepEqual(
      (await call(20)).logs!.map(({ message }) => message),
      ['done'],
    )
    t.is((await call(40)).logs, undefined)
    t.is((await call(0)).logs, undefined)
    t.deepEqual(
      rig.logs.map(({ message }) => message),
      ['done', 'done', 'done', 'done'],
    )
  })
}

function post(rig: ProcessorRig, body: string): Promise<IncomingMessage> {
  const { host, port } = rig.http.address!
  return new Promise((resolve, reject) => {
    const sent = request({ host, port, path: '/f', method: 'POST', agent: false }, resolve)
    sent.on('error', reject)
    sent.end(body)
  })
}

/** A call whose answer is taken in parts, by the test. */
function streamOf(rig: ProcessorRig, body: string): Promise<{ readonly head: Answer; readonly body: BodyStream }> {
  return new Promise((resolve) => {
    const record = rig.processor.events.finish(Buffer.from(body))
    rig.sinks.get('web')!.invoke(
      record,
      () => {},
      (head, parts) => resolve({ head, body: parts }),
    )
  })
}
