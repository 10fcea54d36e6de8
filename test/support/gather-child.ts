/** A processor as a process of its own, to be killed while events move from an alias to production: gather-child.ts <folder>. */
import { ProcessorRig } from './processor-rig.ts'

const SPEC = `
metadata: { name: f }
spec:
  runtime: nodejs
  triggers:
    in: { kind: mqtt, attributes: { subscriptions: [{ topic: 'in/#', qos: 1 }] } }
`
const rig = await ProcessorRig.open(process.argv[2]!)
await rig.processor.activate(
  rig.version(SPEC, { 'main.mjs': `export const handler = (context, event) => context.emit('out', event.body)` }),
)
await rig.processor.gather('f', new Set())
await rig.until(async () => (await rig.store.ledger()).sources.every(({ waiting }) => waiting === 0))
process.stdout.write(JSON.stringify(await rig.rows('out')))
await rig.close()
