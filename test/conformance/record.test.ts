import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import { AT, RECORD_HEADER_BYTES } from '../../runtime/event/record.ts'
import { guestClassPath } from '../../runtime/workers/java/class-path.ts'
import { needs } from '../support/packages.ts'
import { RingPair } from '../support/ring-pair.ts'
import { tempDir } from '../support/temp-dir.ts'
import { encodeVector, readVectors } from './record/vector.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

test('record vectors encode to their bytes', (t) => {
  for (const vector of readVectors()) t.is(encodeVector(vector).toString('hex'), vector.bytesHex, vector.name)
})

test('record vectors pass through the ring unchanged, by parts and whole', (t) => {
  for (const vector of readVectors()) {
    const pair = new RingPair()
    const bytes = Buffer.from(vector.bytesHex, 'hex')
    const bodyAt = RECORD_HEADER_BYTES + bytes.readUInt32LE(AT.headLength)
    const got: string[] = []
    pair.guest.onRecord = (view) => got.push(view.record.toString('hex'))
    pair.agent.write(bytes.subarray(0, 64), bytes.subarray(64, bodyAt), bytes.subarray(bodyAt, bodyAt + bytes.readUInt32LE(AT.bodyLength)))
    pair.agent.writeRecord(bytes, vector.ticket, vector.attempt)
    pair.guest.poll(2)
    t.deepEqual(got, [vector.bytesHex, vector.bytesHex], vector.name)
    pair.close()
  }
})

test('record vectors are read and written alike by the Python guest', async (t) => {
  const { stdout } = await promisify(execFile)('python3', [
    '-B',
    here('./record/check_vectors.py'),
    here('../../runtime/shared-memory/guests/python'),
    here('./record'),
  ])
  t.is(Number(stdout), readVectors().length)
})

needs(
  test,
  'java',
  'javac',
)('record vectors are read and written alike by the Java guest', async (t) => {
  const guest = await guestClassPath()
  const classes = tempDir(t)
  const run = promisify(execFile)
  // In the guest's own package, to reach what reads and writes records.
  await run('javac', ['-nowarn', '-d', classes, '-cp', guest, here('./record/CheckVectors.java')])
  const { stdout } = await run('java', ['-cp', `${guest}:${classes}`, 'dunlin.guest.CheckVectors', here('./record')])
  t.is(Number(stdout), readVectors().length)
})
