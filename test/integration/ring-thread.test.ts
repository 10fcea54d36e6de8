import { Worker } from 'node:worker_threads'
import test from 'ava'
import { Kind } from '../../runtime/event/record.ts'
import { createThreadChannel } from '../../runtime/shared-memory/thread-channel.ts'
import { headerOf } from '../support/ring-pair.ts'

test('thread channel echoes thousands of bodies of all sizes through a small ring', async (t) => {
  const { agentEnd, transfer } = createThreadChannel({ ringBytes: 8192 })
  const worker = new Worker(new URL('../support/echo-thread.ts', import.meta.url), { workerData: transfer, transferList: [transfer.port] })
  const sizes = Array.from({ length: 3000 }, (_, i) => (i % 500 === 499 ? 100_000 : (i * 37) % 1500))
  const { promise, resolve } = Promise.withResolvers<void>()
  let sent = 0
  let got = 0
  const send = (): void => {
    while (sent < sizes.length && agentEnd.write(headerOf({ ticket: sent }), null, Buffer.alloc(sizes[sent]!, sent))) sent++
    agentEnd.flush()
  }
  let mismatches = 0
  agentEnd.onWritable = send
  agentEnd.onRecord = (view) => {
    const { body } = view
    if (view.ticket !== got || body.length !== sizes[got] || (body.length > 0 && body[body.length - 1] !== (got & 0xff))) mismatches++
    got++
    if (got === sizes.length) resolve()
  }
  send()
  await promise
  t.is(mismatches, 0)
  const exited = new Promise((done) => worker.once('exit', done))
  agentEnd.write(headerOf({ kind: Kind.stop }), null, null)
  agentEnd.flush()
  await exited
  agentEnd.close()
})

test('thread channel closed twice is quiet and refuses writes', (t) => {
  const { agentEnd, transfer } = createThreadChannel()
  agentEnd.close()
  agentEnd.close()
  t.false(agentEnd.write(headerOf(), null, null))
  transfer.port.close()
})
