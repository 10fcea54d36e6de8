/** A broker in a process of its own, so that its memory can be measured. Sends its port, then its counters when asked; ends with its parent. */
import { openBroker } from '../../adapters/broker/broker.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { brokerConfig, FakeIngest } from './broker.ts'

const broker = await openBroker({ config: brokerConfig(), ingest: new FakeIngest(), logger: silentLogger })
process.on('message', () => process.send!({ rss: process.memoryUsage.rss(), ...broker.stats() }))
process.on('disconnect', () => process.exit())
process.send!({ port: broker.address.port })
