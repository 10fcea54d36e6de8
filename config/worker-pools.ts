/** How many workers a trigger has, which triggers share them, and how they live. */
import type { Checker } from './check.ts'
import type { Notices } from './notices.ts'
import type { AllocationMode, PoolSettings, TriggerBase } from './triggers/common.ts'
import type { Path } from './yaml-source.ts'

/** 5 min: longer than the pauses of a busy source, and a start costs tens to hundreds of milliseconds. */
export const IDLE_TIMEOUT_MS = 300_000

interface Given {
  readonly numWorkers?: number | undefined
  readonly maxWorkers?: number | undefined
  readonly minWorkers?: number | undefined
  readonly concurrency?: number | undefined
  readonly idleTimeout?: number | undefined
  readonly prewarm?: boolean | undefined
  readonly workerAllocationMode?: AllocationMode | undefined
  readonly workerAllocatorName?: string | undefined
}

type Workers = Pick<TriggerBase, 'numWorkers' | 'concurrency' | 'pool'>

/** What one trigger says about its workers. */
export function compileWorkers(checker: Checker, path: Path, given: Given, concurrency: number): Workers {
  const { numWorkers, maxWorkers, minWorkers } = given
  if (numWorkers !== undefined && maxWorkers !== undefined && numWorkers !== maxWorkers) {
    checker.add(
      [...path, 'maxWorkers'],
      `expected the same as numWorkers (${numWorkers}), got ${maxWorkers}`,
      'both say how many workers there are at the most; leave one out',
    )
  }
  const most = maxWorkers ?? numWorkers ?? Math.max(1, minWorkers ?? 1)
  const pool: PoolSettings = {
    name: given.workerAllocatorName || null,
    minWorkers: minWorkers ?? most,
    idleTimeoutMs: given.idleTimeout ?? IDLE_TIMEOUT_MS,
    prewarm: given.prewarm ?? false,
    allocation: given.workerAllocationMode ?? 'pool',
  }
  const workers = { numWorkers: most, concurrency: given.concurrency ?? concurrency, pool }
  // Of triggers that share a pool, the sum is checked.
  if (pool.name === null) checkSize(checker, path, workers)
  return workers
}

/** Makes one pool of the triggers that name the same: of sizes the largest holds, everything else is said once. */
export function shareWorkers<T extends TriggerBase>(checker: Checker, notices: Notices, triggers: readonly T[]): T[] {
  const merged = new Map<string, Workers>()
  for (const [name, group] of Map.groupBy(triggers, ({ pool }) => pool.name)) {
    if (name !== null) merged.set(name, mergeWorkers(checker, notices, group))
  }
  return triggers.map((trigger) => ({ ...trigger, ...merged.get(trigger.pool.name ?? '') }))
}

function mergeWorkers(checker: Checker, notices: Notices, group: readonly TriggerBase[]): Workers {
  const pathOf = ({ name }: TriggerBase, field: string): Path => ['spec', 'triggers', name, field]
  const sayers = (...fields: string[]) =>
    group.filter((trigger) => fields.some((field) => checker.valueAt(pathOf(trigger, field)) !== undefined))
  /** The trigger that says it; the first one, with the default, when none does. */
  const sayer = (field: string): TriggerBase => {
    const [first = group[0]!, ...others] = sayers(field)
    const expected = checker.valueAt(pathOf(first, field))
    for (const other of others) {
      const got = checker.valueAt(pathOf(other, field))
      if (got === expected) continue
      const hint = `both are in pool ${first.pool.name}: say it once`
      checker.add(pathOf(other, field), `expected ${String(expected)}, as trigger ${first.name} has it, got ${String(got)}`, hint)
    }
    return first
  }
  const sized = sayers('numWorkers', 'maxWorkers', 'minWorkers')
  const numWorkers = Math.max(1, ...sized.map((trigger) => trigger.numWorkers))
  const smallest = sayers('minWorkers')
  const workers: Workers = {
    numWorkers,
    concurrency: sayer('concurrency').concurrency,
    pool: {
      name: group[0]!.pool.name,
      minWorkers: smallest.length === 0 ? numWorkers : Math.max(...smallest.map(({ pool }) => pool.minWorkers)),
      idleTimeoutMs: sayer('idleTimeout').pool.idleTimeoutMs,
      prewarm: sayer('prewarm').pool.prewarm,
      allocation: sayer('workerAllocationMode').pool.allocation,
    },
  }
  for (const other of group) {
    // They decide how a handler is called, and a worker has one handler.
    for (const field of ['batch', 'explicitAckMode'] as const) {
      if (JSON.stringify(other[field]) === JSON.stringify(group[0]![field])) continue
      const hint = `both are in pool ${other.pool.name}, whose workers call the handler in one way`
      checker.add(pathOf(other, field), `expected the same as trigger ${group[0]!.name} has, got something else`, hint)
    }
  }
  const least = sized.find((trigger) => trigger.numWorkers !== numWorkers)
  if (least)
    notices.add(pathOf(least, 'workerAllocatorName'), `has ${numWorkers} workers, the largest number of the triggers that share it`)
  checkSize(checker, ['spec', 'triggers', (smallest[0] ?? sayer('workerAllocationMode')).name], workers)
  return workers
}

function checkSize(checker: Checker, path: Path, { numWorkers, pool: { minWorkers, allocation } }: Workers): void {
  if (minWorkers > numWorkers) {
    checker.add([...path, 'minWorkers'], `expected at most ${numWorkers}, the most workers there may be, got ${minWorkers}`)
  } else if (allocation === 'static' && minWorkers !== numWorkers) {
    checker.add(
      [...path, 'workerAllocationMode'],
      `expected pool, because the number of workers changes (${minWorkers} to ${numWorkers}), got static`,
      'static needs a fixed number: leave minWorkers out',
    )
  }
}
