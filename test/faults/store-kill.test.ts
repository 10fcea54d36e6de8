import test from 'ava'
import { spawn } from 'node:child_process'
import path from 'node:path'
import { MiB, openTestStore, wholeInbox } from '../support/store-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const CHILD = path.join(import.meta.dirname, '../support/store-child.ts')
const KILLS = 15
const SEED = Number(process.env['DUNLIN_SEED'] ?? 20_251)

/** mulberry32: the same kills for the same seed. */
function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let x = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Runs the loaded child and kills it after it has said `lines` lines; returns what it said in whole lines. */
function runAndKill(dir: string, lines: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CHILD, dir, 'load'], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    let seen = 0
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      seen += chunk.split('\n').length - 1
      if (seen >= lines) child.kill('SIGKILL')
    })
    child.once('error', reject)
    child.once('close', () => resolve(text.split('\n').slice(0, -1)))
  })
}

test(`store killed ${KILLS} times under load keeps everything it acknowledged, whole steps only`, async (t) => {
  t.timeout(110_000)
  t.log(`DUNLIN_SEED=${SEED}`)
  const random = seeded(SEED)
  const dir = tempDir(t)
  const accepted = new Set<number>()
  const settled = new Set<number>()
  for (let kill = 0; kill < KILLS; kill++) {
    const lines = await runAndKill(dir, 1 + Math.floor(random() * 4000))
    t.deepEqual(
      lines.filter((line) => line.startsWith('error')),
      [],
    )
    for (const line of lines) {
      const [what, id] = line.split(' ')
      if (what === 'accepted') {
        t.false(accepted.has(Number(id)), 'an id was given twice')
        accepted.add(Number(id))
      } else if (what === 'settled') settled.add(Number(id))
    }
  }
  t.true(accepted.size > 100)
  const store = await openTestStore(t, dir)
  const waiting = new Set((await wholeInbox(store, await store.openSource('s'))).map((row) => row.inboxId))
  const emitted = new Map<number, number>()
  for (const row of await store.readStream(await store.openStream('out'), 1, 2 ** 39, 1_000_000, 1024 * MiB)) {
    const id = row.record.readDoubleLE()
    emitted.set(id, (emitted.get(id) ?? 0) + 1)
  }
  const lost = [...accepted].filter((id) => !waiting.has(id) && !emitted.has(id))
  t.deepEqual(lost, [])
  t.deepEqual(
    [...settled].filter((id) => waiting.has(id) || emitted.get(id) !== 2),
    [],
    'settled: out of the inbox, with both emits',
  )
  t.deepEqual(
    [...emitted].filter(([id, count]) => count !== 2 || waiting.has(id)),
    [],
    'no half steps',
  )
  const { sources, streams } = await store.ledger()
  t.true(sources[0]!.balanced && streams[0]!.balanced)
  t.is(sources[0]!.delivered, emitted.size)
  t.is(streams[0]!.accepted, emitted.size * 2)
})
