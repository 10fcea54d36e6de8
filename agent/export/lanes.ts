/**
 * What goes next: pure decisions of the export pump. Everything that waited when the link came up is backlog, everything after
 * it is live. Live always goes first, and a part of the window is kept for it, so that a long backlog never makes it wait for a
 * confirmation. Streams take turns within a lane.
 */
export interface LaneSettings {
  /** Frames sent and not yet confirmed, both lanes together. */
  readonly inFlightFramesMax: number
  /** Part of the window that the backlog leaves to live, 0 to 1. The backlog always gets one frame. */
  readonly liveShare: number
}

/** One stream in one session (from a connect to its end). */
export interface StreamProgress {
  readonly id: number
  readonly name: string
  readonly epoch: string
  /** The next backlog row to read, and the last there is; next > last: the backlog is out. */
  backlogNext: number
  readonly backlogLast: number
  /** The next live row to read. */
  liveNext: number
  /** Rows were committed since the last read found the end. */
  hasLive: boolean
}

export type Lane = 'live' | 'backlog'
export interface Turn {
  readonly stream: StreamProgress
  readonly lane: Lane
}

export function backlogFramesMax({ inFlightFramesMax, liveShare }: LaneSettings): number {
  return Math.max(1, Math.min(inFlightFramesMax, Math.floor(inFlightFramesMax * (1 - liveShare))))
}

/** `streams` in the order of their last turn, the longest ago first. Undefined: nothing may go now. */
export function nextTurn(
  streams: readonly StreamProgress[],
  inFlight: { readonly live: number; readonly backlog: number },
  settings: LaneSettings,
  backlogAllowed: boolean,
): Turn | undefined {
  if (inFlight.live + inFlight.backlog >= settings.inFlightFramesMax) return undefined
  const live = streams.find((stream) => stream.hasLive)
  if (live) return { stream: live, lane: 'live' }
  if (!backlogAllowed || inFlight.backlog >= backlogFramesMax(settings)) return undefined
  const waiting = streams.find((stream) => stream.backlogNext <= stream.backlogLast)
  return waiting && { stream: waiting, lane: 'backlog' }
}
