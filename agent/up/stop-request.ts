/** Ctrl-C (SIGINT), SIGTERM and a closed terminal (SIGHUP) ask for a clean stop; a second Ctrl-C does not wait for it. */
const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
const KILLED_EXIT = 130

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
    if (isRequested || request.isStopping) {
      kill()
      process.exit(KILLED_EXIT)
    }
    isRequested = true
    resolve()
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  return request
}
