/** Ids of one session; more means that the client never sends PUBREL. */
const IDS_PER_CLIENT_MAX = 1000

export type IdState = 'pending' | 'taken'
type OnSettled = (isTaken: boolean) => void
type Ids = Map<number, { state: IdState; waiting: OnSettled[] }>

/**
 * The QoS 2 message ids of each client between PUBLISH and PUBREL: a message that is sent again is not taken twice.
 * 'pending': handed to the ingest, not yet confirmed; 'taken': confirmed. They belong to the session: with clean session 0 they
 * outlive the connection.
 */
export class InboundIds {
  readonly #clients = new Map<string, Ids>()
  readonly #idsMax: number

  constructor(idsMax = IDS_PER_CLIENT_MAX) {
    this.#idsMax = idsMax
  }

  state(clientId: string, messageId: number): IdState | undefined {
    return this.#clients.get(clientId)?.get(messageId)?.state
  }

  /** False: too many are open. Else two functions that end the pending state; they touch nothing of a session begun since. */
  begin(clientId: string, messageId: number): { taken(): void; failed(): void } | false {
    let ids = this.#clients.get(clientId)
    if (ids === undefined) this.#clients.set(clientId, (ids = new Map()))
    if (ids.size >= this.#idsMax) return false
    const own = ids
    const entry: { state: IdState; waiting: OnSettled[] } = { state: 'pending', waiting: [] }
    own.set(messageId, entry)
    const settle = (isTaken: boolean) => {
      if (own.get(messageId) !== entry) return
      if (isTaken) entry.state = 'taken'
      else this.#delete(clientId, own, messageId)
      for (const onSettled of entry.waiting.splice(0)) onSettled(isTaken)
    }
    return { taken: () => settle(true), failed: () => settle(false) }
  }

  /** Only while the id is pending. */
  onSettled(clientId: string, messageId: number, call: OnSettled): void {
    this.#clients.get(clientId)?.get(messageId)?.waiting.push(call)
  }

  release(clientId: string, messageId: number): void {
    const ids = this.#clients.get(clientId)
    if (ids !== undefined) this.#delete(clientId, ids, messageId)
  }

  forget(clientId: string): void {
    this.#clients.get(clientId)?.clear()
    this.#clients.delete(clientId)
  }

  #delete(clientId: string, ids: Ids, messageId: number): void {
    ids.delete(messageId)
    if (ids.size === 0 && this.#clients.get(clientId) === ids) this.#clients.delete(clientId)
  }
}
