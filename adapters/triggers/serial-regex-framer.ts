import { BufferedFramer, type OnFrame } from './serial-framer.ts'

/**
 * Frames are what the pattern matches; what lies between is dropped. A match at the end of what is there waits for more, or for a
 * pause. Bytes are read as Latin-1, one character each. The pattern sees at most two frames' length at a time.
 */
export class RegexFramer extends BufferedFramer {
  readonly #regex: RegExp
  readonly #maxBytes: number

  constructor(regex: RegExp, maxBytes: number, onFrame: OnFrame) {
    super(2 * maxBytes, onFrame)
    this.#regex = regex
    this.#maxBytes = maxBytes
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      at += this.take(chunk, at, Infinity)
      this.#cut(false)
    }
  }

  override pause(): void {
    this.#cut(true)
  }

  #cut(isEnd: boolean): void {
    const text = this.held.toString('latin1', 0, this.heldBytes)
    let done = 0
    this.#regex.lastIndex = 0
    for (let match = this.#regex.exec(text); match; match = this.#regex.exec(text)) {
      const end = match.index + match[0].length
      if (match[0] === '') this.#regex.lastIndex++
      else if (end === text.length && !isEnd && this.heldBytes < this.held.length) break
      else {
        this.counters.droppedBytes += match.index - done
        if (match[0].length <= this.#maxBytes) this.give(match.index, end)
        else this.counters.droppedBytes += match[0].length
        done = end
      }
    }
    // What is left may begin a frame, but only its last part of a frame's length can still become one.
    const kept = isEnd ? 0 : Math.min(this.heldBytes - done, this.#maxBytes)
    this.counters.droppedBytes += this.heldBytes - done - kept
    this.held.copyWithin(0, this.heldBytes - kept, this.heldBytes)
    this.heldBytes = kept
  }
}
