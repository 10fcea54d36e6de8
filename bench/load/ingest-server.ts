/** The device's broker with every message committed to the store's inbox before its PUBACK, and nothing behind it. Prints {"port":..}. */
import { openBroker } from '../../adapters/broker/broker.ts'
import { parseAgentConfig } from '../../config/agent-config.ts'
import { Clock } from '../../runtime/base/clock.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { UuidSource } from '../../runtime/base/uuid.ts'
import { EventWriter } from '../../runtime/event/event-writer.ts'
import { Tag } from '../../runtime/event/record.ts'
import { openStore } from '../../runtime/store/store-client.ts'

const dataDir = process.argv[2]!
const config = parseAgentConfig('', 'agent.yaml', { dataDir, broker: { listen: '127.0.0.1:0' } })
const store = await openStore({ dataDir, maxBytes: config.store.maxBytes, commitIntervalMs: 0, logger: silentLogger })
const source = await store.openSource('bench')
const events = new EventWriter(new Clock(), new UuidSource(), store.boot)
const broker = await openBroker({
  config: config.broker,
  logger: silentLogger,
  ingest: {
    publish(message, done) {
      events.head.add(Tag.topic, message.topic)
      store.accept(source, events.finish(message.payload, message.qos), done)
    },
  },
})
console.log(JSON.stringify({ port: broker.address.port }))
process.on('SIGTERM', () => void broker.close().then(() => store.close()))
