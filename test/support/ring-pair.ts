import { RingChannel, type BodyCarrier, type RecordView } from '../../runtime/shared-memory/channel.ts'
import { formatMemory, type Layout } from '../../runtime/shared-memory/layout.ts'
import { ProtocolError } from '../../runtime/base/errors.ts'
import { RECORD_HEADER_BYTES, AT, Kind } from '../../runtime/event/record.ts'

/** Bodies kept in a map that both ends share. */
class MapBodies implements BodyCarrier {
  readonly #bodies: Map<string, Uint8Array>

  constructor(bodies: Map<string, Uint8Array>) {
    this.#bodies = bodies
  }

  put(body: Uint8Array): Uint8Array {
    const name = `body-${this.#bodies.size}`
    this.#bodies.set(name, Buffer.from(body))
    return Buffer.from(name)
  }

  take(reference: Buffer): Buffer {
    const body = this.#bodies.get(reference.toString())
    if (body === undefined) throw new ProtocolError('body-missing', `Cannot take body ${reference.toString()}`)
    return Buffer.from(body)
  }

  close(): void {}
}

/** Two channels over one memory in one thread; a doorbell is a flag that `ring()` answers, so each test decides when the peer wakes. */
export class RingPair {
  readonly memory: ArrayBuffer
  readonly layout: Layout
  readonly agent: RingChannel
  readonly guest: RingChannel
  agentRung = false
  guestRung = false

  /** `startAt`: the index that both rings start from, a multiple of the capacity. */
  constructor(ringBytes = 4096, startAt = 0) {
    this.memory = new ArrayBuffer(4096 + 2 * ringBytes)
    this.layout = formatMemory(this.memory, ringBytes)
    const words = new Int32Array(this.memory)
    for (const ring of [this.layout.toGuest, this.layout.toAgent]) words[ring.producer] = words[ring.consumer] = startAt | 0
    const bodies = new MapBodies(new Map())
    const base = { memory: this.memory, layout: this.layout, bodies, release: () => {} }
    this.agent = new RingChannel({ ...base, side: 'agent', doorbell: { ring: () => (this.guestRung = true), close() {} } })
    this.guest = new RingChannel({ ...base, side: 'guest', doorbell: { ring: () => (this.agentRung = true), close() {} } })
  }

  /** Delivers doorbells until nobody rings. */
  settle(): void {
    for (let round = 0; round < 1000 && (this.agentRung || this.guestRung); round++) {
      if (this.guestRung) {
        this.guestRung = false
        this.guest.wake()
      }
      if (this.agentRung) {
        this.agentRung = false
        this.agent.wake()
      }
    }
  }

  close(): void {
    this.agent.close()
    this.guest.close()
  }
}

export function headerOf(fields: { kind?: number; ticket?: number; status?: number; flags?: number } = {}): Buffer {
  const header = Buffer.alloc(RECORD_HEADER_BYTES)
  header[AT.kind] = fields.kind ?? Kind.event
  header[AT.flags] = fields.flags ?? 0
  header.writeUInt16LE(fields.status ?? 0, AT.status)
  header.writeBigUInt64LE(BigInt(fields.ticket ?? 0), AT.ticket)
  return header
}

export interface SeenRecord {
  readonly kind: number
  readonly ticket: number
  readonly status: number
  readonly attempt: number
  readonly head: Buffer
  readonly body: Buffer
}

/** A copy that outlives the callback. */
export function seen(view: RecordView): SeenRecord {
  return {
    kind: view.kind,
    ticket: view.ticket,
    status: view.status,
    attempt: view.attempt,
    head: Buffer.from(view.head),
    body: Buffer.from(view.body),
  }
}
