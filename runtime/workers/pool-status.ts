/** What there is to tell of a pool, and of several together. */
export interface PoolStatus {
  /** How many workers there are at least and at most. */
  readonly min: number
  readonly max: number
  readonly ready: number
  /** Those that serve, and those that are to serve soon. */
  readonly wanted: number
  readonly restarts: number
  readonly inFlight: number
  /** What the workers of the function use now, and may use, together. */
  readonly memoryBytes: number
  readonly memoryBytesMax: number
  /** The most that was seen. */
  readonly memoryBytesPeak: number
  /** A worker ends again and again; it is started with growing waits. */
  readonly crashLoop: boolean
}

/** Pools of one function version have one memory budget. */
export function sumOf(pools: readonly PoolStatus[]): PoolStatus {
  const sum = (pick: (pool: PoolStatus) => number) => pools.reduce((total, pool) => total + pick(pool), 0)
  return {
    min: sum((p) => p.min),
    max: sum((p) => p.max),
    ready: sum((p) => p.ready),
    wanted: sum((p) => p.wanted),
    restarts: sum((p) => p.restarts),
    inFlight: sum((p) => p.inFlight),
    memoryBytes: pools[0]?.memoryBytes ?? 0,
    memoryBytesMax: pools[0]?.memoryBytesMax ?? 0,
    memoryBytesPeak: pools[0]?.memoryBytesPeak ?? 0,
    crashLoop: pools.some((p) => p.crashLoop),
  }
}
