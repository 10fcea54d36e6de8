import type { BrokerLimits } from '../../config/agent-config.ts'
import { isReservedTopic } from './access-rules.ts'
import type { AedesPacket } from './aedes-internals.ts'
import type { Connection } from './connection.ts'
import type { Authenticate, Authorize, BrokerCounters, ClientInfo, ConnectAttempt } from './contract.ts'
import { isSoundText, levelCount, nameFault } from './names.ts'
import type { Sessions } from './sessions.ts'

export interface GatekeeperParts {
  readonly limits: BrokerLimits
  readonly authenticate: Authenticate
  readonly authorize: Authorize
  readonly sessions: Sessions
  readonly counters: BrokerCounters
}

export interface Refusal {
  readonly refuse: string
  readonly returnCode: 2 | 3 | 4 | 5
}

/** Decides who comes in, with which session, and what they may publish and subscribe. */
export class Gatekeeper {
  readonly #parts: GatekeeperParts
  /** Who is in (or just coming in), by client id. */
  readonly #present = new Map<string, Connection>()

  constructor(parts: GatekeeperParts) {
    this.#parts = parts
  }

  present(clientId: string): Connection | undefined {
    return this.#present.get(clientId)
  }

  clients(): ClientInfo[] {
    return Array.from(this.#present.values(), (connection) => connection.info!)
  }

  get size(): number {
    return this.#present.size
  }

  /** Lets the client in (null) or says why not. On success `connection.info` is set and an earlier connection of the same client has ended. */
  async admit(connection: Connection): Promise<Refusal | null> {
    const attempt = connection.attempt()
    const fault = this.#nameFaultOf(connection, attempt)
    if (fault !== null) return fault
    const verdict = await this.#parts.authenticate(attempt)
    if ('refuse' in verdict) {
      this.#parts.counters.loginsFailed++
      return { refuse: verdict.refuse, returnCode: verdict.returnCode ?? 5 }
    }
    if (connection.hasEnded) return { refuse: 'the connection ended', returnCode: 3 }
    const { clientId, username, address, isLoopback, cleanSession } = attempt
    const info: ClientInfo = { clientId, identity: verdict.identity, username, address, isLoopback }
    const will = connection.connect!.will
    if (will && !this.#mayWill(info, will)) {
      this.#parts.counters.willsRefused++
      return { refuse: `will on "${will.topic}" denied`, returnCode: 5 }
    }
    return this.#seat(connection, info, cleanSession)
  }

  /** Another identity's client id is taken: nobody is thrown out, and no session read, by a stranger. */
  #seat(connection: Connection, info: ClientInfo, cleanSession: boolean): Refusal | null {
    const { sessions, counters } = this.#parts
    const { clientId, identity } = info
    const earlier = this.#present.get(clientId)
    const owner = earlier?.info?.identity ?? sessions.get(clientId)?.identity
    if (owner !== undefined && owner !== identity) return { refuse: 'the client id belongs to another user', returnCode: 2 }
    if (earlier) {
      counters.takeovers++
      // Closed through aedes, at once: its will goes out before the successor is in [MQTT-3.1.4-2].
      earlier.end({ fault: null, text: 'taken over by a new connection' })
      earlier.client?.close()
    }
    if (!cleanSession && sessions.open(clientId, identity) === undefined) return { refuse: 'too many sessions', returnCode: 3 }
    connection.info = info
    this.#present.set(clientId, connection)
    return null
  }

  /** The connection has ended. True if it was let in. */
  leave(connection: Connection): boolean {
    const { info } = connection
    if (info === null) return false
    if (this.#present.get(info.clientId) === connection) {
      this.#present.delete(info.clientId)
      this.#parts.sessions.leave(info.clientId)
    }
    return true
  }

  mayPublish(info: ClientInfo, topic: string): boolean {
    if (isReservedTopic(topic) || levelCount(topic) > this.#parts.limits.topicLevelsMax) return false
    return this.#parts.authorize(info.identity, 'publish', topic, info)
  }

  /** Grants a filter and remembers it: it counts towards the client's limit until it is unsubscribed. */
  grant(connection: Connection, filter: string): boolean {
    const { limits, authorize, counters } = this.#parts
    const { info, filters } = connection
    const isGranted =
      info !== null &&
      isSoundText(filter) &&
      !isReservedTopic(filter) &&
      levelCount(filter) <= limits.topicLevelsMax &&
      (filters.has(filter) || filters.size < limits.subscriptionsPerClientMax) &&
      authorize(info.identity, 'subscribe', filter, info)
    if (isGranted) filters.add(filter)
    else counters.subscribesDenied++
    return isGranted
  }

  #mayWill(info: ClientInfo, will: AedesPacket): boolean {
    return isSoundText(will.topic) && this.mayPublish(info, will.topic)
  }

  #nameFaultOf(connection: Connection, { clientId, username, cleanSession }: ConnectAttempt): Refusal | null {
    if (connection.connect!.clientId === '' && !cleanSession) return { refuse: 'an empty client id needs a clean session', returnCode: 2 }
    const idFault = nameFault(clientId)
    if (idFault !== null) return { refuse: `the client id ${idFault}`, returnCode: 2 }
    const userFault = username === null ? null : nameFault(username)
    return userFault === null ? null : { refuse: `the user name ${userFault}`, returnCode: 4 }
  }
}
