/** How our processes end. */
import { describeError } from './errors.ts'
import type { Logger } from './log.ts'

const EXIT_FAILED = 1
/** As a shell says it of a program that was interrupted. */
const EXIT_INTERRUPTED = 130

/** Says on stderr why, and ends. */
export function endWith(text: string, code: number): never {
  process.stderr.write(`${text}\n`)
  process.exit(code)
}

/** The first SIGTERM or SIGINT closes cleanly, the second ends at once, and so does a close that takes longer than `msMax`. */
export function closeOnSignal(part: { close(): Promise<void> }, logger: Logger, msMax: number): void {
  let isStopping = false
  const stop = (signal: NodeJS.Signals) => {
    if (isStopping) process.exit(EXIT_INTERRUPTED)
    isStopping = true
    logger.info({ signal }, 'stopping')
    setTimeout(() => endWith(`Did not stop within ${msMax} ms`, EXIT_FAILED), msMax).unref()
    part.close().then(
      () => process.exit(0),
      (error: unknown) => endWith(describeError(error), EXIT_FAILED),
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}
