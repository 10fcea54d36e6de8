/** Which event is blamed for what its worker died of. */
import test from 'ava'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const HANDLER = `import gc, os, time
def handler(context, event):
    if event.body == b'first':
        while not os.path.exists('go'): time.sleep(0.005)
    if event.body == b'bad':
        channel = next(each for each in gc.get_objects() if type(each).__name__ == 'SyncWorker').channel
        at = 4096 + channel.memory.to_guest_bytes
        channel.memory.map[at:at + 8192] = b'\\xa5' * 8192
        channel.memory.words[160] = channel.memory.words[160] + 4096
        channel.doorbell.ring()
        time.sleep(60)
    context.emit('out', event.body.decode() + ' ' + str(event.attempt))
`

needs(test, 'python3')(
  'an event whose answer another event of its worker has written over is handled, and only the other one is blamed',
  async (t) => {
    const rig = await ProcessorRig.open(tempDir(t))
    t.teardown(() => rig.close())
    const spec = `metadata: { name: f }
spec:
  runtime: python
  handler: main:handler
  maxAttempts: 2
  retry: { first: 10ms, max: 1s }
  triggers:
    a: { kind: mqtt, attributes: { subscriptions: [{ topic: '#' }] } }
`
    const version = rig.version(spec, { 'main.py': HANDLER })
    await rig.processor.activate(version)
    // All three are in the ring when the first one ends: the answer of the second is not read yet when the third begins.
    await rig.publish('a', 'first')
    await rig.publish('b', 'good')
    await rig.publish('c', 'bad')
    await rig.until(() => rig.processor.status()[0]!.workers.inFlight === 3)
    writeFileSync(join(version.directory, 'go'), '')
    await rig.until(() => rig.processor.status()[0]!.triggers[0]!.buried > 0)
    await rig.until(async () => (await rig.rows('out')).length === 2)
    t.deepEqual((await rig.rows('out')).toSorted(), ['first 1', 'good 1'])
    t.like(rig.processor.status()[0]!.triggers[0]!, { handled: 2, buried: 1, failed: 2, waiting: 0 })
  },
)
