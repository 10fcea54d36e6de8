import { readSlot, PRODUCTION } from '../../config/routes.ts'
import { crashPoint } from '../base/crash-point.ts'
import type { Pipeline } from '../dispatch/pipeline.ts'
import type { LedgerRow, Store } from '../store/store.ts'

/** One transaction moves so many: the store thread is not held up for long. */
const MOVE_ROWS = 1_000

/** Events that wait where no alias of a function takes them. */
export interface Stranded {
  readonly source: string
  readonly alias: string
  readonly trigger: string
}

/** Of the ledger's sources, those where events of `functionName` wait for an alias that nobody serves. */
export function strandedOf(
  functionName: string,
  sources: readonly LedgerRow[],
  served: { readonly aliases: ReadonlySet<string>; readonly sources: readonly string[] },
): Stranded[] {
  return sources.flatMap(({ name, waiting }) => {
    if (waiting === 0 || !name.startsWith(`${functionName}/`) || served.sources.includes(name)) return []
    const { name: trigger, alias } = readSlot(name.slice(functionName.length + 1))
    return alias === PRODUCTION || served.aliases.has(alias) ? [] : [{ source: name, alias, trigger }]
  })
}

/** All events of a source become the newest of this pipeline. Resolves with how many there were, when they are committed there. */
export async function moveAll(store: Store, source: string, pipeline: Pipeline): Promise<number> {
  const from = await store.openSource(source)
  let total = 0
  for (;;) {
    const moved = await new Promise<number>((resolve, reject) =>
      store.moveInbox(from, pipeline.source, MOVE_ROWS, (error, rows) => {
        if (error) return reject(error)
        // Here and not behind the promise: the next event that is accepted must find that it is not the next to be handled.
        if (rows > 0) pipeline.inboxGrew()
        resolve(rows)
      }),
    )
    total += moved
    if (moved < MOVE_ROWS) return total
    crashPoint('alias:mid-move')
  }
}
