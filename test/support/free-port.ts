import { createServer } from 'node:net'

/** The system gives out ports from 32768 by itself. */
const FIRST = 16_384
const COUNT = 16_384

/**
 * A port that is free now and for the length of a test: none that the system gives out, so neither a connection nor another
 * test's port 0 takes it while the process that had it is killed and started again.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    const server = createServer()
    server.once('error', () => resolve(freePort()))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(port)))
  })
}
