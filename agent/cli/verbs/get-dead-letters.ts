import type { AgentDeadLetter } from '../answers.ts'
import type { Call } from '../call.ts'
import { table } from '../table.ts'
import { agoText } from '../units.ts'

/** Events of this device that a function failed on for good. */
export async function getDeadLetters({ agent, printer }: Call, { limit }: { limit: number }): Promise<void> {
  const answer = (await agent.get(`/v1/dead-letters?limit=${limit}`)) as { deadLetters: AgentDeadLetter[] }
  printer.result(answer, () =>
    answer.deadLetters.length === 0
      ? 'No dead letters'
      : table(
          ['ID', 'AGE', 'FUNCTION', 'VERSION', 'SOURCE', 'ATTEMPTS', 'ERROR'],
          answer.deadLetters.map(({ id, timeMs, function: name, version, source, attempts, error }) => [
            id,
            agoText(timeMs),
            name,
            version,
            source,
            attempts,
            error,
          ]),
          printer.width,
        ),
  )
}
