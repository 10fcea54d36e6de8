/**
 * The store thread: the only place that opens queue.db. It answers messages in their order. After an error of the disk or
 * the database it says 'fatal' once and keeps nothing more; everything asked of it afterwards is refused with that error.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { DunlinError } from '../base/errors.ts'
import { Engine } from './engine.ts'
import { BATCH_BYTES } from './limits.ts'
import type { FromThread, PackedRows, ThreadOptions, ToThread } from './messages.ts'
import { isBusy, storeBusy, toPlain } from './store-errors.ts'
import type { PlainError } from './store-errors.ts'

const port = parentPort!
const say = (message: FromThread, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer)

function serve(engine: Engine): void {
  let failed: PlainError | null = null

  const fail = (error: unknown): PlainError => {
    if (failed !== null) return failed
    failed = { ...toPlain(error), code: 'store-failed' }
    try {
      engine.noteDamage(error)
    } catch {
      // The disk that failed cannot hold the note either.
    }
    say({ kind: 'fatal', error: failed })
    return failed
  }

  const runBatches = (batches: readonly BatchMessage[]) => {
    let error = failed
    try {
      if (error === null) engine.runBatches(batches)
    } catch (cause) {
      error = fail(cause)
    }
    for (const { buffer, used } of batches) say({ kind: 'batch-done', buffer, used, error }, [buffer])
    if (error !== null) return
    try {
      engine.tidy()
    } catch (cause) {
      fail(cause)
    }
  }

  const answer = ({ id, query }: Extract<ToThread, { kind: 'query' }>) => {
    if (failed !== null) return say({ kind: 'refused', id, error: failed })
    try {
      const value = engine.answer(query)
      say({ kind: 'answer', id, value }, isPacked(value) ? [value.buffer] : [])
    } catch (cause) {
      say({ kind: 'refused', id, error: refusal(cause) ?? fail(cause) })
    }
  }

  /** Batches that came while the last commit was under way share the next one; what came behind them waits for it. */
  const takeBatches = (first: BatchMessage): ToThread | undefined => {
    const batches = [first]
    let next: ToThread | undefined
    for (let bytes = first.used; bytes < BATCH_BYTES;) {
      next = receiveMessageOnPort(port)?.message as ToThread | undefined
      if (next?.kind !== 'batch') break
      batches.push(next)
      bytes += next.used
      next = undefined
    }
    runBatches(batches)
    return next
  }

  const close = () => {
    try {
      engine.close()
    } catch (cause) {
      fail(cause)
    }
    port.close()
  }

  port.on('message', (message: ToThread) => {
    let next: ToThread | undefined = message
    while (next?.kind === 'batch') next = takeBatches(next)
    if (next?.kind === 'query') answer(next)
    else if (next?.kind === 'close') close()
  })
}

type BatchMessage = Extract<ToThread, { kind: 'batch' }>

/** An error that is an answer; null: the database or the disk failed. */
function refusal(error: unknown): PlainError | null {
  if (error instanceof DunlinError) return toPlain(error)
  return isBusy(error) ? toPlain(storeBusy('another program holds the database')) : null
}

function isPacked(value: unknown): value is PackedRows {
  return typeof value === 'object' && value !== null && 'buffer' in value && value.buffer instanceof ArrayBuffer && 'used' in value
}

try {
  const engine = new Engine(workerData as ThreadOptions, say)
  serve(engine)
  say({ kind: 'opened', boot: engine.boot, report: engine.report })
} catch (error) {
  say({ kind: 'open-failed', error: { ...toPlain(error), code: error instanceof DunlinError ? error.code : 'store-unavailable' } })
}
