/**
 * Publishes this machine's own readings to an MQTT broker, once a second, QoS 1:
 *
 *   sensors/host/cpu           percent, all cores together
 *   sensors/host/load          processes that want to run, mean of one minute
 *   sensors/host/memory        percent in use
 *   sensors/host/disk          percent of / in use
 *   sensors/host/network       bytes per second, in and out together
 *   sensors/host/temperature   degrees Celsius, where the board has a sensor
 *
 * Each is {"value": 12.5, "unit": "%", "time": "2026-..."}. Run it alone with: node sensors.ts mqtt://127.0.0.1:1883
 */
import mqtt from 'mqtt'
import { readings } from './readings.ts'
import { exitWithParent } from '../../runtime/base/exit-with-parent.ts'

const EVERY_MS = 1000
/** Not yet acknowledged by the broker. MQTT.js would queue without end while the broker is away; old readings are not worth that. */
const UNACKNOWLEDGED_MAX = 600

const url = process.argv[2] ?? 'mqtt://127.0.0.1:1883'
const client = mqtt.connect(url, { clientId: `host-sensors-${process.pid}`, reconnectPeriod: 1000 })
let unacknowledged = 0
let dropped = 0

client.on('error', (error) => console.error(`host-sensors: ${error.message || String(error)}`))

function publish(): void {
  for (const { what, value, unit } of readings()) {
    if (unacknowledged >= UNACKNOWLEDGED_MAX) {
      if (dropped++ % UNACKNOWLEDGED_MAX === 0)
        console.error(`host-sensors: the broker does not acknowledge; ${dropped} readings were dropped`)
      continue
    }
    unacknowledged++
    client.publish(
      `sensors/host/${what}`,
      JSON.stringify({ value, unit, time: new Date().toISOString() }),
      { qos: 1 },
      () => unacknowledged--,
    )
  }
}

const timer = setInterval(publish, EVERY_MS)
client.once('connect', publish)

/** What was sent is acknowledged before we go, but we do not wait for ever. */
function stop(): void {
  clearInterval(timer)
  setTimeout(() => process.exit(0), 1000).unref()
  client.end(false, {}, () => process.exit(0))
}
process.on('SIGTERM', stop)
process.on('SIGINT', stop)
exitWithParent()
