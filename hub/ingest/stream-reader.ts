import type { HubDatabase } from '../database/hub-database.ts'
import { contiguousOf, gapsOf } from './seq-ranges.ts'

/** Gaps named in one row; the rest is counted. */
const GAPS_SHOWN = 100

export interface StreamPosition {
  readonly device: string
  readonly stream: string
  readonly epoch: string
  readonly contiguousSeq: number
  readonly maxSeq: number
  readonly stored: number
  readonly gaps: ReadonlyArray<readonly [number, number]>
  readonly gapCount: number
  readonly bytes: number
}

/** Where each stream stands: what is stored, and which seqs are missing. */
export class StreamReader {
  readonly #database: HubDatabase

  constructor(database: HubDatabase) {
    this.#database = database
  }

  list(device: string | null, limit: number): StreamPosition[] {
    const { query } = this.#database
    let rows = query
      .selectFrom('streams')
      .innerJoin('devices', 'devices.num', 'streams.device')
      .select([
        'streams.id as num',
        'devices.id as device',
        'streams.name',
        'streams.epoch',
        'streams.stored',
        'streams.bytes',
        'streams.max_seq',
      ])
    if (device !== null) rows = rows.where('devices.id', '=', device)
    return this.#database.all(rows.orderBy('devices.id').orderBy('streams.id').limit(limit)).map(({ num, name, max_seq, ...row }) => {
      const ranges = this.#database.all(
        query.selectFrom('stream_ranges').select(['first', 'last']).where('stream', '=', num).orderBy('first'),
      )
      const gaps = gapsOf(ranges)
      return {
        ...row,
        stream: name,
        contiguousSeq: contiguousOf(ranges),
        maxSeq: max_seq,
        gaps: gaps.slice(0, GAPS_SHOWN),
        gapCount: gaps.length,
      }
    })
  }
}
