export interface FramerCounters {
  frames: number
  /** Bytes that belong to no frame: garbage, or frames that were too long. */
  droppedBytes: number
}

/**
 * Cuts a stream of bytes into frames. Holds at most one frame (`maxBytes`) and reads each byte once or twice, whatever comes.
 * What is too long is dropped up to where the next frame can begin.
 */
export interface Framer {
  readonly counters: FramerCounters
  push(chunk: Uint8Array): void
  /** The line was silent for a while: where that ends a frame, it ends here. */
  pause(): void
  /** The port was closed: a part of a frame is none. */
  reset(): void
}

export type OnFrame = (frame: Buffer) => void

/** What all have: a place for one frame, and the counters. */
export abstract class BufferedFramer implements Framer {
  readonly counters: FramerCounters = { frames: 0, droppedBytes: 0 }
  protected readonly held: Buffer
  protected heldBytes = 0
  readonly #onFrame: OnFrame

  constructor(bytes: number, onFrame: OnFrame) {
    this.held = Buffer.allocUnsafe(bytes)
    this.#onFrame = onFrame
  }

  abstract push(chunk: Uint8Array): void

  pause(): void {}

  reset(): void {
    this.counters.droppedBytes += this.heldBytes
    this.heldBytes = 0
  }

  /** As much of `chunk` from `at` as there is room for; returns how much. */
  protected take(chunk: Uint8Array, at: number, wanted: number): number {
    const bytes = Math.min(wanted, this.held.length - this.heldBytes, chunk.length - at)
    this.held.set(chunk.subarray(at, at + bytes), this.heldBytes)
    this.heldBytes += bytes
    return bytes
  }

  protected give(from: number, to: number): void {
    this.counters.frames++
    this.#onFrame(Buffer.from(this.held.subarray(from, to)))
  }
}
