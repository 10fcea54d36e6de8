/** The process of a native function: `host-process <bytes>` of memory more than a host needs. The library is loaded here, never in the agent. */
import { openGuestChannel } from '../shared-memory/guest-channel.ts'
import koffi from 'koffi'
import { NativeHost } from './native-host.ts'
import { announcedBodies, printLineByLine, ProcessLimits } from './process-limits.ts'

/** A library's own stack; it costs what is touched of it. dunlin.h names it. */
const STACK_BYTES = 8 << 20

koffi.config({ sync_stack_size: STACK_BYTES })
let limits: ProcessLimits | null = null
const allowBody = (bytes: number): void => limits?.allowBody(bytes)
const channel = openGuestChannel(process.env, (bodies) => announcedBodies(bodies, allowBody))
printLineByLine()
limits = new ProcessLimits(Number(process.argv[2]))
new NativeHost(channel, allowBody).run()
