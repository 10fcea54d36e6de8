import type { Call } from '../call.ts'

/** Decommissions a device: its certificate opens nothing any more, and its link is cut. Its events stay at the hub. */
export async function deleteDevice({ hub, printer }: Call, id: string): Promise<void> {
  const answer = await hub.delete(`/v1/devices/${encodeURIComponent(id)}`)
  printer.result(answer, () => `${id} is decommissioned`)
}
