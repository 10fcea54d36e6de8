/**
 * A process with a store, to be killed or starved: store-child.ts <dir> <mode> [seed]
 *  hold: keeps one event and waits. load: accepts, settles and emits without end, printing what was acknowledged.
 *  fill: accepts until the store says it failed, then prints the code.
 */
import { writeSync } from 'node:fs'
import { silentLogger } from '../../runtime/base/log.ts'
import { openStore } from '../../runtime/store/store-client.ts'
import { accept } from './store-rig.ts'

const [dir, mode] = process.argv.slice(2) as [string, string]
let fatal = 0
const store = await openStore({
  dataDir: dir,
  maxBytes: 64 * 1024 * 1024,
  commitIntervalMs: 0,
  logger: silentLogger,
  onFatal: () => fatal++,
})
const source = await store.openSource('s')
const stream = await store.openStream('out')

/** Written at once and by the kernel: what was said before the kill is what was acknowledged. Waits for a full pipe. */
function say(line: string): void {
  for (;;) {
    try {
      writeSync(1, `${line}\n`)
      return
    } catch (error) {
      if ((error as { code?: string }).code !== 'EAGAIN') throw error
    }
  }
}

if (mode === 'hold') {
  await accept(store, source, Buffer.from('held'))
  say('ready')
} else if (mode === 'load') {
  say('ready')
  for (let i = 0; i < 64; i++) acceptNext()
} else {
  await fill()
}

function acceptNext(): void {
  store.accept(source, Buffer.alloc(200, 1), (error, id) => {
    if (error) return say(`error ${error.message}`)
    say(`accepted ${id}`)
    // Every second event is settled with two emits, the others stay in the inbox.
    if (id % 2 === 0) settleOne(id)
    acceptNext()
  })
}

function settleOne(id: number): void {
  const record = Buffer.alloc(16)
  record.writeDoubleLE(id)
  store.begin(source, id)
  store.emit(stream, record)
  store.emit(stream, record)
  store.end((error, settled) => say(error || !settled ? `error settle ${id}` : `settled ${id}`))
}

async function fill(): Promise<void> {
  let acknowledged = 0
  for (;;) {
    try {
      await accept(store, source, Buffer.alloc(100_000))
      acknowledged++
    } catch (error) {
      const later = await accept(store, source, Buffer.from('x')).then(
        () => 'kept',
        (e: { code: string }) => e.code,
      )
      await store.close()
      say(JSON.stringify({ acknowledged, code: (error as { code: string }).code, later, fatal }))
      return
    }
  }
}
