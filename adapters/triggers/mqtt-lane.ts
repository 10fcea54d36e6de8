import { Duplex } from 'node:stream'
import { Frames, type Frame } from './mqtt-frames.ts'
import { malformed, readPublish, readPublishStart, type PublishPacket } from './mqtt-publish-packet.ts'

const PUBLISH = 3
const PUBREL = 6

export interface LaneTaker {
  publish(packet: PublishPacket): void
  /** PUBREL: the broker will not send this QoS 2 message again. */
  release(messageId: number): void
  /** A message of `bytes` that is too large to be kept. */
  tooLarge(packet: Pick<PublishPacket, 'topic' | 'qos' | 'messageId'>, bytes: number): void
}

/**
 * Stands between a connection and MQTT.js, and takes the broker's messages out of what comes in: MQTT.js handles one packet at a time up
 * to its acknowledgement, so that each message would wait for a commit of its own, and a PINGRESP behind it would come too late. All
 * else (CONNACK, SUBACK, PUBACK, PINGRESP, ...) is MQTT.js's, and so is all that goes out but acknowledgements.
 */
export class MqttLane extends Duplex {
  readonly #transport: Duplex
  readonly #version: 4 | 5
  readonly #taker: LaneTaker
  readonly #frames: Frames

  constructor(transport: Duplex, version: 4 | 5, messageBytesMax: number, taker: LaneTaker) {
    super({ allowHalfOpen: false })
    this.#transport = transport
    this.#version = version
    this.#taker = taker
    this.#frames = new Frames(messageBytesMax, {
      frame: (frame) => this.#frame(frame),
      tooLarge: (frame, bytes) => this.#tooLarge(frame, bytes),
    })
    transport.on('data', (chunk: Buffer) => this.#receive(chunk))
    transport.on('error', (error) => this.destroy(error))
    transport.on('close', () => this.destroy())
    transport.on('end', () => this.push(null))
  }

  /** Nothing more is read from the broker until `goOn`. What has come already is still handled. */
  holdBack(): void {
    this.#transport.pause()
  }

  goOn(): void {
    this.#transport.resume()
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#transport.write(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#transport.end(() => done())
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#transport.destroy()
    done(error)
  }

  #receive(chunk: Buffer): void {
    if (this.destroyed) return
    try {
      this.#frames.push(chunk)
    } catch (error) {
      this.destroy(error as Error)
    }
  }

  #frame(frame: Frame): void {
    const { first, bytes, bodyAt } = frame
    const type = first >> 4
    if (type === PUBLISH) this.#taker.publish(readPublish(first, bytes.subarray(bodyAt), this.#version))
    else if (type === PUBREL) this.#taker.release(messageIdOf(frame))
    else this.push(bytes)
  }

  #tooLarge({ first, bytes, bodyAt }: Frame, size: number): void {
    if (first >> 4 !== PUBLISH) throw malformed(`a packet of ${size} bytes that is no message`)
    this.#taker.tooLarge(readPublishStart(first, bytes.subarray(bodyAt)), size)
  }
}

function messageIdOf({ bytes, bodyAt }: Frame): number {
  if (bytes.length < bodyAt + 2) throw malformed('a PUBREL without a packet id')
  return bytes.readUInt16BE(bodyAt)
}
