import { TopicTree } from './topic-tree.ts'

export interface RoutedPacket {
  readonly topic: string
}
export type Deliver = (packet: RoutedPacket, done: () => void) => void

/**
 * The live subscriptions, in the form aedes wants (the interface of mqemitter). Two things differ on purpose:
 * one slow subscriber holds up nobody else (mqemitter stalls every publisher at 100 open deliveries), and a removal takes
 * effect at once, so that a client that is taken over leaves before its successor is entered.
 */
export class MessageRouter {
  #live = new TopicTree<Deliver>()
  #isClosed = false

  /** Whether a message on this topic would reach anybody now. */
  reaches(topic: string): boolean {
    return this.#live.matches(topic)
  }

  on(filter: string, deliver: Deliver, done?: () => void): this {
    this.#live.add(filter, deliver)
    if (done) setImmediate(done)
    return this
  }

  removeListener(filter: string, deliver: Deliver, done?: () => void): this {
    this.#live.remove(filter, deliver)
    done?.()
    return this
  }

  emit(packet: RoutedPacket, done: (error?: Error) => void = () => {}): this {
    if (this.#isClosed) {
      done(new Error('the router is closed'))
      return this
    }
    const targets = this.#live.match(packet.topic)
    let open = targets.length
    if (open === 0) done()
    const delivered = () => {
      if (--open === 0) done()
    }
    for (const deliver of targets) deliver(packet, delivered)
    return this
  }

  close(done: () => void): this {
    this.#isClosed = true
    setImmediate(done)
    return this
  }
}
