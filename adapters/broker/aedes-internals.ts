import type { Duplex } from 'node:stream'
import type { Aedes } from 'aedes'
import { assert } from '../../runtime/base/errors.ts'

/**
 * The parts of aedes 1.2.0 (pinned exactly) that have no public name and that this broker uses. They let packets be handed over
 * one by one, already framed and checked, instead of aedes reading chunks from the socket and stopping until all of a chunk is done.
 */
export interface AedesClient {
  id: string | null
  clean: boolean
  readonly closed: boolean
  readonly connected: boolean
  readonly connecting: boolean
  readonly conn: Duplex
  /** The will that counts, null when there is none (set only after the client was let in). */
  will: AedesPacket | null
  _will: AedesPacket | null
  subscriptions: Record<string, unknown>
  readonly _parser: { parse(packet: Buffer): unknown; emit(event: 'packet', packet: AedesPacket): boolean }
  /** Packets handed over and not yet done. */
  _parsingBatch: number
  /** Called when a packet is done, with its error. */
  _nextBatch: (error?: Error | null) => void
  readonly _keepaliveTimer: NodeJS.Timeout | null
  emit(event: 'error', error: Error): boolean
  waitForDrain(call: () => void): void
  close(done?: () => void): void
}

export interface AedesPacket {
  cmd: string
  topic: string
  payload: Buffer | string
  qos: 0 | 1 | 2
  retain: boolean
  dup?: boolean
  length?: number
  messageId?: number
  brokerId?: string
  brokerCounter?: number
  clientId?: string
}

export interface AedesConnectPacket {
  protocolVersion: number
  clean: boolean
  keepalive: number
  clientId: string
  username?: string
  password?: Buffer
  will?: AedesPacket
}

export interface AedesSubscription {
  topic: string
  qos: 0 | 1 | 2
  rh?: number
  rap?: boolean
  nl?: boolean
}

/** Makes an aedes client that does not read from `socket` itself. */
export function handOver(aedes: Aedes, socket: Duplex, done: (error?: Error | null) => void): AedesClient {
  const client = aedes.handle(socket) as unknown as AedesClient
  assert(
    typeof client._parser?.parse === 'function' && typeof client._nextBatch === 'function' && typeof client._parsingBatch === 'number',
    'aedes is not the version this broker was built on',
  )
  socket.removeAllListeners('readable')
  client._parsingBatch = 0
  client._nextBatch = done
  return client
}
