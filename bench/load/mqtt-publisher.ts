/**
 * A publisher as fast as one connection goes: QoS 1, packets made before the clock starts, a window of unacknowledged ones. Written
 * on a bare socket, so that the client is not what is measured.
 *
 *   node mqtt-publisher.ts <port> <messages> <window> <payload bytes> <topics>      prints {"acked":..,"seconds":..,"startedAtMs":..}
 */
import { connect } from 'node:net'

const [port, messages, window, payloadBytes, topicCount] = process.argv.slice(2).map(Number) as [number, number, number, number, number]
const PACKET_IDS = 60_000

const socket = connect({ host: '127.0.0.1', port, noDelay: true })
const packets: Buffer[] = []
for (let id = 1; id <= PACKET_IDS; id++) packets.push(publishPacket(`bench/${id % topicCount}`, id, payloadBytes))

let sent = 0
let acked = 0
let startedMs = 0
let pending: Buffer = Buffer.alloc(0)
let isConnected = false

socket.on('connect', () => socket.write(connectPacket(`bench-${process.pid}`)))
socket.on('data', (chunk: Buffer) => {
  pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
  let at = 0
  while (at + 4 <= pending.length) {
    if (!isConnected) {
      isConnected = true
      startedMs = performance.now()
    } else acked++
    at += 4
  }
  pending = pending.subarray(at)
  if (acked === messages) finish()
  else fill()
})
socket.on('close', () => {
  if (acked < messages) {
    console.error(`connection closed after ${acked} acknowledgements`)
    process.exit(1)
  }
})

function fill(): void {
  const batch: Buffer[] = []
  while (sent < messages && sent - acked < window) batch.push(packets[sent++ % PACKET_IDS]!)
  if (batch.length > 0) socket.write(Buffer.concat(batch))
}

function finish(): void {
  console.log(JSON.stringify({ acked, seconds: (performance.now() - startedMs) / 1000, startedAtMs: performance.timeOrigin + startedMs }))
  socket.end(Buffer.from([0xe0, 0]))
}

function connectPacket(clientId: string): Buffer {
  const id = Buffer.from(clientId)
  const body = Buffer.concat([Buffer.from([0, 4]), Buffer.from('MQTT'), Buffer.from([4, 2, 0, 60, id.length >> 8, id.length & 0xff]), id])
  return Buffer.concat([Buffer.from([0x10]), remainingLength(body.length), body])
}

function publishPacket(topic: string, id: number, bytes: number): Buffer {
  const name = Buffer.from(topic)
  const length = 2 + name.length + 2 + bytes
  const payload = Buffer.alloc(bytes, `{"value":${id},"unit":"C"}`.padEnd(64))
  return Buffer.concat([
    Buffer.from([0x32]),
    remainingLength(length),
    Buffer.from([name.length >> 8, name.length & 0xff]),
    name,
    Buffer.from([id >> 8, id & 0xff]),
    payload,
  ])
}

function remainingLength(length: number): Buffer {
  const bytes: number[] = []
  do {
    bytes.push((length % 128) | (length >= 128 ? 0x80 : 0))
    length = Math.floor(length / 128)
  } while (length > 0)
  return Buffer.from(bytes)
}
