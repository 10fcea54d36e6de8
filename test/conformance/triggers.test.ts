/** What every kind of trigger does, walked over the registry: a kind without a source here does not compile. */
import test, { type ExecutionContext } from 'ava'
import { TRIGGER_KINDS } from '../../config/triggers/registry.ts'
import { AT, Kind } from '../../runtime/event/record.ts'
import { getU64 } from '../../runtime/event/event-writer.ts'
import { needs } from '../support/packages.ts'
import { tempDir } from '../support/temp-dir.ts'
import { TriggerBench } from '../support/trigger-bench.ts'
import { triggerSources, type SourceKind, type TriggerSource } from '../support/trigger-kinds.ts'

for (const kind of TRIGGER_KINDS) {
  const { open, needs: needed } = triggerSources[kind] as SourceKind
  const ofKind = (title: string, run: (t: ExecutionContext, bench: TriggerBench, source: TriggerSource) => Promise<void>): void =>
    needs(test.serial, ...needed)(`${kind} trigger ${title}`, async (t) => {
      const bench = new TriggerBench()
      const source = await open(bench, tempDir(t))
      try {
        await run(t, bench, source)
      } finally {
        await bench.close()
        await source.close?.()
      }
    })

  ofKind('gives an event with an id and a time, and acknowledges when it is committed', async (t, bench, { trigger, setOff }) => {
    const made = await bench.make(trigger)
    const since = Date.now()
    await made.start()
    t.true(await setOff())
    await made.stop()
    const record = bench.committed[0]!
    t.is(record[AT.kind], Kind.event)
    t.is(record.readUInt32LE(AT.size), record.length)
    t.true(getU64(record, AT.timeUs) / 1000 >= since - 1)
    t.is(record[AT.id + 6]! >> 4, 7)
  })

  ofKind('does not acknowledge before the commit', async (t, bench, { trigger, setOff }) => {
    const made = await bench.make(trigger)
    bench.mode = 'hold'
    await made.start()
    let isAcknowledged = false
    const set = setOff().then((is) => (isAcknowledged = is))
    await bench.until(() => bench.offered.length > 0)
    await new Promise((resolve) => setImmediate(resolve))
    t.false(isAcknowledged)
    bench.take()
    t.true(await set)
    await made.stop()
  })

  ofKind(
    'does not acknowledge what is refused, and what its source keeps comes again',
    async (t, bench, { trigger, setOff, givesAgain }) => {
      const made = await bench.make(trigger)
      bench.mode = 'refuse'
      await made.start()
      t.false(await setOff())
      t.is(bench.committed.length, 0)
      bench.mode = 'take'
      if (givesAgain) await bench.until(() => bench.committed.length > 0)
      else t.true(await setOff())
      await made.stop()
      t.true(bench.committed.length >= 1)
    },
  )

  ofKind('gives nothing after its stop, and can be stopped again and started again', async (t, bench, { trigger, setOff, isAnswered }) => {
    const made = await bench.make(trigger)
    await made.stop()
    await made.start()
    t.true(await setOff())
    await made.stop()
    await made.stop()
    const before = bench.offered.length
    if (isAnswered) t.false(await setOff().catch(() => false))
    await new Promise((resolve) => setImmediate(resolve))
    t.is(bench.offered.length, before)
    bench.kept.clear()
    await made.start()
    t.true(await setOff())
    t.true(bench.offered.length > before)
    await made.stop()
  })
}
