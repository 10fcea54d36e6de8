import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { MessageBodies, type PortMessage } from './body-messages.ts'
import { RingChannel, type Channel } from './channel.ts'
import { formatMemory, layoutOf, RING_BYTES_DEFAULT } from './layout.ts'

/** What a worker thread needs to open its end; send it as workerData with `port` in the transfer list. */
export interface ThreadChannelTransfer {
  readonly memory: SharedArrayBuffer
  readonly ringBytes: number
  readonly port: MessagePort
}

/** A channel to a worker thread of this process: rings in a SharedArrayBuffer, a MessagePort as the doorbell. */
export function createThreadChannel(options: { ringBytes?: number } = {}): { agentEnd: Channel; transfer: ThreadChannelTransfer } {
  const ringBytes = options.ringBytes ?? RING_BYTES_DEFAULT
  const memory = new SharedArrayBuffer(layoutOf(ringBytes).bytes)
  formatMemory(memory, ringBytes)
  const { port1, port2 } = new MessageChannel()
  return { agentEnd: openEnd(memory, ringBytes, port1, 'agent'), transfer: { memory, ringBytes, port: port2 } }
}

/** The worker's end. Records that came before it was opened are read in the next turn, when the handlers are set. */
export function openThreadChannel(transfer: ThreadChannelTransfer): Channel {
  const channel = openEnd(transfer.memory, transfer.ringBytes, transfer.port, 'guest')
  setImmediate(() => channel.wake())
  return channel
}

const RING: PortMessage = { type: 'ring' }

function openEnd(memory: SharedArrayBuffer, ringBytes: number, port: MessagePort, side: 'agent' | 'guest'): RingChannel {
  const bodies = new MessageBodies(port, () => setImmediate(() => channel.wake()))
  const doorbell = {
    ring: () => port.postMessage(RING),
    close: () => port.close(),
  }
  const channel: RingChannel = new RingChannel({ memory, layout: layoutOf(ringBytes), side, doorbell, bodies, release: () => {} })
  port.on('message', (message: unknown) => {
    if (!bodies.accept(message)) channel.wake()
  })
  return channel
}
