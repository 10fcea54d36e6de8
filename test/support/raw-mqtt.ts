import { connect as connectSocket, type Socket } from 'node:net'

export interface RawPacket {
  readonly type: number
  readonly flags: number
  readonly body: Buffer
}

/** An MQTT 3.1.1 client that sends what it is told, right or wrong, and answers nothing by itself. */
export class RawMqtt {
  readonly socket: Socket
  readonly packets: RawPacket[] = []
  readonly closed: Promise<void>
  #bytes = Buffer.alloc(0)
  #waiting: (() => void)[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    this.closed = new Promise((resolve) =>
      socket.once('close', () => {
        for (const wake of this.#waiting.splice(0)) wake()
        resolve()
      }),
    )
  }

  static open(port: number, host = '127.0.0.1'): Promise<RawMqtt> {
    return new Promise((resolve, reject) => {
      const socket = connectSocket({ port, host, noDelay: true }, () => resolve(new RawMqtt(socket)))
      socket.once('error', reject)
    })
  }

  static connect(options: {
    id: string
    clean?: boolean
    username?: string
    password?: string
    keepalive?: number
    will?: { topic: string; payload: string; qos?: number; retain?: boolean }
    level?: number
  }): Buffer {
    const { id, clean = true, username, password, keepalive = 60, will, level = 4 } = options
    const flags =
      (clean ? 2 : 0) |
      (will ? 4 | ((will.qos ?? 0) << 3) | (will.retain ? 0x20 : 0) : 0) |
      (username === undefined ? 0 : 0x80) |
      (password === undefined ? 0 : 0x40)
    const payload = [text(id)]
    if (will) payload.push(text(will.topic), text(will.payload))
    if (username !== undefined) payload.push(text(username))
    if (password !== undefined) payload.push(text(password))
    return packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([level, flags, keepalive >> 8, keepalive & 0xff]), ...payload]))
  }

  static publish(topic: string, payload: string | Buffer, { qos = 0, id = 0, dup = false, retain = false } = {}): Buffer {
    const header = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
    return packet(header, Buffer.concat([text(topic), qos > 0 ? number(id) : Buffer.alloc(0), Buffer.from(payload as string)]))
  }

  static pubrel(id: number): Buffer {
    return packet(0x62, number(id))
  }

  static puback(id: number): Buffer {
    return packet(0x40, number(id))
  }

  static subscribe(id: number, ...filters: [filter: string, qos: number][]): Buffer {
    return packet(0x82, Buffer.concat([number(id), ...filters.flatMap(([filter, qos]) => [text(filter), Buffer.from([qos])])]))
  }

  static readonly pingreq = Buffer.from([0xc0, 0])
  static readonly disconnect = Buffer.from([0xe0, 0])

  send(...packets: Buffer[]): void {
    this.socket.write(Buffer.concat(packets))
  }

  /** The next packet; rejects if the connection closes first. */
  async next(): Promise<RawPacket> {
    while (this.packets.length === 0) {
      if (this.socket.closed) throw new Error('the broker closed the connection')
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    return this.packets.shift()!
  }

  /** Everything that came until now: the broker has answered all that was sent before. */
  async settle(): Promise<RawPacket[]> {
    this.send(RawMqtt.pingreq)
    const before: RawPacket[] = []
    for (let packet = await this.next(); packet.type !== 13; packet = await this.next()) before.push(packet)
    return before
  }

  destroy(): void {
    this.socket.destroy()
  }

  #onData(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    for (let found = cut(this.#bytes); found !== null; found = cut(this.#bytes)) {
      this.packets.push(found.packet)
      this.#bytes = this.#bytes.subarray(found.end)
    }
    for (const wake of this.#waiting.splice(0)) wake()
  }
}

export function packet(header: number, body: Buffer): Buffer {
  const length: number[] = []
  let rest = body.length
  do {
    const byte = rest % 128
    rest = Math.floor(rest / 128)
    length.push(rest > 0 ? byte | 0x80 : byte)
  } while (rest > 0)
  return Buffer.concat([Buffer.from([header, ...length]), body])
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([number(bytes.length), bytes])
}

export function number(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}

/** The topic and payload of a PUBLISH that came. */
export function published({ flags, body }: RawPacket): {
  topic: string
  payload: string
  qos: number
  retain: boolean
  dup: boolean
  id: number
} {
  const qos = (flags >> 1) & 3
  const end = 2 + body.readUInt16BE(0)
  return {
    topic: body.toString('utf8', 2, end),
    payload: body.toString('utf8', qos > 0 ? end + 2 : end),
    qos,
    retain: (flags & 1) === 1,
    dup: (flags & 8) === 8,
    id: qos > 0 ? body.readUInt16BE(end) : 0,
  }
}

function cut(bytes: Buffer): { packet: RawPacket; end: number } | null {
  let length = 0
  for (let i = 1; i < bytes.length && i <= 4; i++) {
    length += (bytes[i]! & 0x7f) * 128 ** (i - 1)
    if (bytes[i]! >= 0x80) continue
    const end = i + 1 + length
    if (end > bytes.length) return null
    return { packet: { type: bytes[0]! >> 4, flags: bytes[0]! & 15, body: bytes.subarray(i + 1, end) }, end }
  }
  return null
}
