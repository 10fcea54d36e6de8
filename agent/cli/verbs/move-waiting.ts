import type { Call } from '../call.ts'

/** What waits in a source that nobody serves on this device becomes events of another source. */
export async function moveWaiting({ agent, printer }: Call, from: string, to: string): Promise<void> {
  const answer = (await agent.post('/v1/sources/move', { from, to })) as { moved: number }
  printer.result(answer, () => `${answer.moved} events of ${from} are events of ${to} now`)
}
