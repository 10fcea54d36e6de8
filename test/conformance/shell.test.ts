/** What a shell function can do of what every guest does (guests.test.ts): any body, one event or a batch, a program each or one for all. */
import test, { type ExecutionContext } from 'ava'
import { parseFunctionConfig } from '../../config/function-config.ts'
import { runtimes } from '../../runtime/workers/registry.ts'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Tag } from '../../runtime/event/record.ts'
import { DrivenWorker } from '../support/guests/driven-worker.ts'
import { needs } from '../support/packages.ts'
import { tempDir } from '../support/temp-dir.ts'

/** 16 MiB is the most that a program may answer. */
const SIZES = { '0 B': 0, '1 B': 1, '1 KiB': 1 << 10, '64 KiB': 1 << 16, '1 MiB': 1 << 20, '16 MiB': 16 << 20 }

const FRAMES = `#!/usr/bin/env python3
import sys
source, target = sys.stdin.buffer, sys.stdout.buffer
for line in source:
    word, size, count = line.split()
    fields = dict(source.readline().decode().rstrip('\\n').split('=', 1) for _ in range(int(count)))
    body = source.read(int(size))
    if fields.get('NUCLIO_EVENT_PATH') == '/size':
        body = b'%d' % len(body)
    target.write(b'OK %d\\n%s' % (len(body), body))
    target.flush()
`
const PER_EVENT = '#!/bin/sh\nif [ "$NUCLIO_EVENT_PATH" = /size ]; then wc -c | tr -d " \\n"; else exec cat; fi\n'

const kinds = [
  { name: 'program for each event', attributes: '{}', source: PER_EVENT, test: test.serial },
  { name: 'program for all events', attributes: '{ mode: persistent }', source: FRAMES, test: needs(test.serial, 'python3') },
] as const

async function start(t: ExecutionContext, { attributes, source }: (typeof kinds)[number], batch = false): Promise<DrivenWorker> {
  const directory = tempDir(t)
  writeFileSync(join(directory, 'echo'), source, { mode: 0o755 })
  const config = parseFunctionConfig(
    `metadata: { name: f }\nspec: { runtime: shell, handler: echo, runtimeAttributes: ${attributes} }`,
    'function.yaml',
  )
  const driven = new DrivenWorker({ config, version: '1', directory }, await runtimes.shell(), { batch })
  t.teardown(() => driven.worker.stop(2_000))
  await driven.worker.start()
  return driven
}

function bytesOf(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + (i >>> 8)) & 0xff
  return bytes
}

for (const kind of kinds) {
  kind.test(`shell ${kind.name} echoes a body of each size unchanged`, async (t: ExecutionContext) => {
    const worker = await start(t, kind)
    for (const [size, length] of Object.entries(SIZES)) {
      const sent = bytesOf(length)
      const { status, body } = await worker.call(sent)
      t.is(status, 200, size)
      t.true(body.equals(sent), size)
    }
  })

  kind.test(`shell ${kind.name} takes a body of 64 MiB`, async (t: ExecutionContext) => {
    const worker = await start(t, kind)
    t.is((await worker.call(bytesOf(64 << 20), { head: [[Tag.path, '/size', '']] })).text, String(64 << 20))
  })

  kind.test(`shell ${kind.name} gets a batch as one JSON array of CloudEvents`, async (t: ExecutionContext) => {
    const worker = await start(t, kind, true)
    const answers = await worker.callBatch(['1', 'two', '{}'])
    const events = JSON.parse(answers[0]!.text) as { specversion: string; data: string }[]
    t.deepEqual(
      events.map(({ specversion, data }) => [specversion, data]),
      ['1', 'two', '{}'].map((data) => ['1.0', data]),
    )
    t.deepEqual(
      answers.map(({ text }) => text),
      answers.map(() => answers[0]!.text),
    )
  })
}
