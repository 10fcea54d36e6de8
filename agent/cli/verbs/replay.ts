import type { Call } from '../call.ts'

/** Puts a dead letter back into its source's inbox: it is tried again as if it had just come. */
export async function replay({ agent, printer }: Call, id: number): Promise<void> {
  const answer = (await agent.post(`/v1/dead-letters/${id}/replay`)) as { inboxId: number; queued: boolean }
  printer.result(answer, () => (answer.queued ? `Dead letter ${id} is handled again` : `Dead letter ${id} waits for its function to run`))
}
