/** Readings sent by Debian's mosquitto_pub: a client that we did not write, whose own words say what was acknowledged. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface SentReadings {
  /** Payloads whose PUBACK the client has seen. */
  readonly acked: ReadonlySet<string>
  /** Payloads that it sent again after a lost connection (MQTT's own redelivery): only these may be there twice. */
  readonly resent: ReadonlySet<string>
}

/** Sends each payload as one QoS 1 message; the client connects again by itself. Resolves when all are acknowledged. */
export function sendReadings(port: number, topic: string, payloads: readonly string[]): Promise<SentReadings> {
  const child = spawn('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(port), '-q', '1', '-t', topic, '-i', 'sensor', '-l', '-d'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const acked = new Set<string>()
  const resent = new Set<string>()
  const sent = new Set<string>()
  // The message ids of one run are 1, 2, 3, ... in the order of the lines.
  createInterface(child.stdout).on('line', (line) => {
    const sending = /sending PUBLISH \(d\d, q1, r0, m(\d+)/.exec(line)
    if (sending) {
      const payload = payloads[Number(sending[1]) - 1]!
      if (sent.has(payload)) resent.add(payload)
      sent.add(payload)
    }
    const ack = /received PUBACK \(Mid: (\d+)/.exec(line)
    if (ack) acked.add(payloads[Number(ack[1]) - 1]!)
  })
  child.stdin.end(`${payloads.join('\n')}\n`)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', () => resolve({ acked, resent }))
  })
}
