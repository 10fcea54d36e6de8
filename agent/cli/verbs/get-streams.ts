import type { HubStream } from '../answers.ts'
import type { Call } from '../call.ts'
import { table } from '../table.ts'
import { bytesText } from '../units.ts'

/** Where each stream stands at the hub: up to which seq it is whole, and what is missing. */
export async function getStreams({ hub, printer }: Call, { device }: { device?: string }): Promise<void> {
  const answer = (await hub.get(`/v1/streams${device ? `?device=${encodeURIComponent(device)}` : ''}`)) as { streams: HubStream[] }
  printer.result(answer, () =>
    answer.streams.length === 0
      ? 'No events have come yet'
      : table(
          ['DEVICE', 'STREAM', 'STORED', 'WHOLE TO', 'NEWEST', 'GAPS', 'SIZE'],
          answer.streams.map(({ device: id, stream, stored, contiguousSeq, maxSeq, gaps, gapCount, bytes }) => [
            id,
            stream,
            stored,
            contiguousSeq,
            maxSeq,
            gapsText(gaps, gapCount),
            bytesText(bytes),
          ]),
          printer.width,
        ),
  )
}

function gapsText(gaps: HubStream['gaps'], count: number): string {
  if (count === 0) return 'none'
  const named = gaps.slice(0, 3).map(([first, last]) => (first === last ? String(first) : `${first}-${last}`))
  return `${named.join(', ')}${count > named.length ? ` and ${count - named.length} more` : ''}`
}
