/** One QoS 1 subscriber on a bare socket that acknowledges as it reads: node mqtt-subscriber.ts <port> */
import { connect } from 'node:net'

const socket = connect({ host: '127.0.0.1', port: Number(process.argv[2]), noDelay: true })
let pending: Buffer = Buffer.alloc(0)

socket.on('connect', () => {
  const id = Buffer.from('bench-subscriber')
  socket.write(
    Buffer.concat([Buffer.from([0x10, 12 + id.length, 0, 4]), Buffer.from('MQTT'), Buffer.from([4, 2, 0, 60, 0, id.length]), id]),
  )
  const filter = Buffer.from('bench/#')
  socket.write(Buffer.concat([Buffer.from([0x82, 5 + filter.length, 0, 1, 0, filter.length]), filter, Buffer.from([1])]))
})
socket.on('data', (chunk: Buffer) => {
  pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
  const acks: Buffer[] = []
  for (;;) {
    const packet = nextPacket()
    if (!packet) break
    const type = packet.bytes[0]! >> 4
    if (type === 9) console.log('subscribed')
    if (type !== 3) continue
    const idAt = packet.bodyAt + 2 + packet.bytes.readUInt16BE(packet.bodyAt)
    acks.push(Buffer.from([0x40, 2, packet.bytes[idAt]!, packet.bytes[idAt + 1]!]))
  }
  if (acks.length > 0) socket.write(Buffer.concat(acks))
})
process.on('SIGTERM', () => process.exit(0))

function nextPacket(): { bytes: Buffer; bodyAt: number } | undefined {
  let length = 0
  let at = 1
  for (let shift = 0; ; shift += 7) {
    if (at >= pending.length) return undefined
    const byte = pending[at++]!
    length += (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  if (pending.length < at + length) return undefined
  const bytes = pending.subarray(0, at + length)
  pending = pending.subarray(at + length)
  return { bytes, bodyAt: at }
}
