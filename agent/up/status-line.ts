/** The one line that tells how it goes. Pure; live-terminal.ts draws it. */
import type { AgentStatus } from '../cli/answers.ts'
import { countText, rateText } from '../cli/units.ts'
import { ratesBetween } from '../cli/verbs/status.ts'

/** Rates are means over this long: readings come once a second, and a shorter window would show the beat. */
const WINDOW_MS = 5000

export class StatusLine {
  #samples: AgentStatus[] = []

  /** null: the agent did not answer. */
  add(status: AgentStatus | null): void {
    const before = this.#samples.at(-1)
    // Counters begin anew with the process.
    if (!status || (before && before.uptimeMs > status.uptimeMs)) this.#samples = []
    if (!status) return
    this.#samples.push(status)
    while (this.#samples.length > 2 && status.uptimeMs - this.#samples[0]!.uptimeMs > WINDOW_MS) this.#samples.shift()
  }

  text(): string {
    const last = this.#samples.at(-1)
    if (!last) return 'the agent does not answer'
    const rates = ratesBetween(this.#samples[0]!, last)
    const { link, waiting, counters } = last
    const parts = [
      `in ${rateText(rates.received)}`,
      `handled ${rateText(rates.handled)}`,
      `stored ${rateText(rates.stored)}`,
      `delivered ${rateText(rates.delivered)} (${countText(counters.delivered)})`,
      `waiting ${countText(waiting.inbox)}+${countText(waiting.streams)}`,
      ...(counters.failed > 0 ? [`failed ${countText(counters.failed)}`] : []),
      `link ${link.state}`,
    ]
    return parts.join(' · ')
  }

  get isOnline(): boolean {
    return this.#samples.at(-1)?.link.state === 'online'
  }
}
