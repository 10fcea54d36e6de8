import test from 'ava'
import fc from 'fast-check'
import { SeqRanges, contiguousOf, gapsOf, type SeqRange } from '../../hub/ingest/seq-ranges.ts'
import { parseRange } from '../../hub/api/byte-range.ts'
import { FailureLimit } from '../../hub/registry/rate-limit.ts'

/** Ranges as a database would hold them after these changes. */
class SavedRanges {
  readonly rows = new Map<number, number>()
  save(ranges: SeqRanges): void {
    const { removed, written } = ranges.takeChanges()
    for (const first of removed) this.rows.delete(first)
    for (const { first, last } of written) this.rows.set(first, last)
  }
  all(): SeqRange[] {
    return [...this.rows].map(([first, last]) => ({ first, last })).toSorted((a, b) => a.first - b.first)
  }
}

test('ranges say what a set would say, also as they were saved, for any order of seqs', (t) => {
  const batches = fc.array(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 30 }), { maxLength: 8 })
  fc.assert(
    fc.property(batches, (given) => {
      let ranges = new SeqRanges()
      const saved = new SavedRanges()
      const set = new Set<number>()
      for (const batch of given) {
        for (const seq of batch) {
          t.is(ranges.add(seq), !set.has(seq))
          set.add(seq)
        }
        saved.save(ranges)
        const rows = saved.all()
        const missing = new Set<number>()
        for (const [first, last] of gapsOf(rows)) for (let seq = first; seq <= last; seq++) missing.add(seq)
        const max = Math.max(0, ...set)
        for (let seq = 1; seq <= max; seq++) t.is(missing.has(seq), !set.has(seq))
        t.is(ranges.max, max)
        t.is(ranges.contiguous, contiguousOf(rows))
        ranges = new SeqRanges(rows)
      }
    }),
    { numRuns: 200 },
  )
})

test('byte range is cut to the size, and one that begins behind it is refused', (t) => {
  t.deepEqual(parseRange('bytes=0-9', 100), { first: 0, last: 9 })
  t.deepEqual(parseRange('bytes=90-900', 100), { first: 90, last: 99 })
  t.deepEqual(parseRange('bytes=-10', 100), { first: 90, last: 99 })
  t.deepEqual(parseRange('bytes=-1000', 100), { first: 0, last: 99 })
  for (const whole of [undefined, '', 'bytes=', 'bytes=-', 'bytes=1-2,4-5', 'lines=1-2', 'bytes=9-1', 'bytes=a-b'])
    t.is(parseRange(whole, 100), undefined, whole)
  for (const beyond of ['bytes=100-', 'bytes=100-200', 'bytes=-0'])
    t.throws(() => parseRange(beyond, 100), { code: 'range-invalid' }, beyond)
  t.throws(() => parseRange('bytes=0-', 0), { code: 'range-invalid' })
})

test('address waits after its failures and not for those of others', (t) => {
  let now = 0
  const limit = new FailureLimit({ max: 2, windowMs: 1000, now: () => now })
  limit.failed('a')
  limit.check('a')
  limit.failed('a')
  t.throws(() => limit.check('a'), { code: 'too-many-failures' })
  t.notThrows(() => limit.check('b'))
  now = 1000
  t.notThrows(() => limit.check('a'))
})
