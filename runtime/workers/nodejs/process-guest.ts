/** The process of a nodejs function with `isolation: process`. What it dies of is the last line it writes, so that the agent can tell. */
import { openGuestChannel } from '../../shared-memory/guest-channel.ts'
import { Guest } from './guest.ts'

process.setUncaughtExceptionCaptureCallback((error: unknown) => {
  if (error instanceof Error && error.stack) console.error(error.stack)
  console.error(`uncaught ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`)
  process.exit(1)
})
new Guest(openGuestChannel()).start()
