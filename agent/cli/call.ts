/** What every verb gets: where it was called, how it prints, and the clients of the home it talks to. */
import { AgentClient } from './agent-client.ts'
import { HubClient } from './hub-client.ts'
import { homePath, openHome, type Home, type Surroundings } from './home.ts'
import type { Printer } from './printer.ts'

export class Call {
  readonly printer: Printer
  readonly surroundings: Surroundings
  readonly #homeFlag: string | undefined
  #home: Home | undefined
  #hub: HubClient | undefined
  #agent: AgentClient | undefined

  constructor(parts: { printer: Printer; home: string | undefined; surroundings: Surroundings }) {
    this.printer = parts.printer
    this.surroundings = parts.surroundings
    this.#homeFlag = parts.home
  }

  /** Where a home is, or would be made. */
  get homePath(): string {
    return homePath(this.#homeFlag, this.surroundings)
  }

  get isHomeGiven(): boolean {
    return this.#homeFlag !== undefined
  }

  get home(): Home {
    return (this.#home ??= openHome(this.#homeFlag, this.surroundings))
  }

  get hub(): HubClient {
    return (this.#hub ??= new HubClient(this.home))
  }

  get agent(): AgentClient {
    return (this.#agent ??= new AgentClient(this.home))
  }

  close(): void {
    this.#hub?.close()
  }
}
