import { workerData } from 'node:worker_threads'
import { AT, Kind, RECORD_HEADER_BYTES } from '../../runtime/event/record.ts'
import { openThreadChannel, type ThreadChannelTransfer } from '../../runtime/shared-memory/thread-channel.ts'

/** A worker thread that answers every record with its own body; answers that find no room wait. */
const channel = openThreadChannel(workerData as ThreadChannelTransfer)
const waiting: { header: Buffer; body: Buffer }[] = []
channel.onRecord = (view) => {
  const header = Buffer.alloc(RECORD_HEADER_BYTES)
  header[AT.kind] = Kind.result
  header.writeBigUInt64LE(BigInt(view.ticket), AT.ticket)
  if (waiting.length > 0 || !channel.write(header, null, view.body)) waiting.push({ header, body: Buffer.from(view.body) })
  channel.flush()
  if (view.kind === Kind.stop) channel.close()
}
channel.onWritable = () => {
  while (waiting.length > 0 && channel.write(waiting[0]!.header, null, waiting[0]!.body)) waiting.shift()
  channel.flush()
}
