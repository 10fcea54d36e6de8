/** Ctrl-C (SIGINT), SIGTERM and a closed terminal (SIGHUP) ask for a clean stop; a second Ctrl-C does not wait for it. */
const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
const KILLED_EXIT = 130
/** `npm start` passes on the Ctrl-C that the terminal has sent here already: within so long it is the same one. */
const SAME_MS = 500

export interface StopRequest {
  readonly requested: Promise<void>
  readonly isRequested: boolean
  /** Set when stopping for another reason: then the next signal is the impatient one. */
  isStopping: boolean
  release(): void
}

export function stopRequest(kill: () => void): StopRequest {
  const { promise, resolve } = Promise.withResolvers<void>()
  let isRequested = false
  let requestedMs = 0
  const request = {
    requested: promise,
    isStopping: false,
    get isRequested() {
      return isRequested
    },
    release() {
      for (const signal of SIGNALS) process.removeListener(signal, onSignal)
    },
  }
  const onSignal = () => {
    if (isRequested && performance.now() - requestedMs < SAME_MS) return
    if (isRequested || request.isStopping) {
      kill()
      process.exit(KILLED_EXIT)
    }
    isRequested = true
    requestedMs = performance.now()
    resolve()
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  return request
}
