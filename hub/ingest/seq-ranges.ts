/**
 * Which sequence numbers are stored, as the fewest ranges. What lies between ranges are the gaps. Remembers which ranges changed,
 * so that a commit writes those alone.
 */
export interface SeqRange {
  readonly first: number
  last: number
}

export interface RangeChanges {
  /** `first` of ranges that were joined to another. */
  readonly removed: readonly number[]
  readonly written: readonly SeqRange[]
}

export class SeqRanges {
  readonly #ranges: SeqRange[]
  #written = new Set<SeqRange>()
  #removed = new Set<number>()

  /** Sorted, apart from each other. */
  constructor(ranges: readonly SeqRange[] = []) {
    this.#ranges = ranges.map(({ first, last }) => ({ first, last }))
  }

  get count(): number {
    return this.#ranges.length
  }

  get max(): number {
    return this.#ranges.at(-1)?.last ?? 0
  }

  /** The last seq before the first gap; 0 when 1 is missing. */
  get contiguous(): number {
    return contiguousOf(this.#ranges)
  }

  /** False when it is there already. */
  add(seq: number): boolean {
    const tail = this.#ranges.at(-1)
    if (tail && seq === tail.last + 1) {
      tail.last = seq
      this.#written.add(tail)
      return true
    }
    return this.#insert(seq)
  }

  /** What changed since the last call. */
  takeChanges(): RangeChanges {
    const changes = { removed: [...this.#removed], written: [...this.#written] }
    this.#written = new Set()
    this.#removed = new Set()
    return changes
  }

  #insert(seq: number): boolean {
    const at = this.#firstAfter(seq)
    const before = this.#ranges[at - 1]
    const after = this.#ranges[at]
    if (before && seq <= before.last) return false
    const joinsBefore = before?.last === seq - 1
    const joinsAfter = after?.first === seq + 1
    if (joinsBefore) {
      before.last = joinsAfter ? after.last : seq
      this.#written.add(before)
      if (joinsAfter) this.#remove(at)
    } else {
      const range = { first: seq, last: joinsAfter ? after.last : seq }
      if (joinsAfter) this.#remove(at)
      this.#ranges.splice(at, 0, range)
      this.#written.add(range)
      this.#removed.delete(seq)
    }
    return true
  }

  #remove(at: number): void {
    const [range] = this.#ranges.splice(at, 1)
    this.#written.delete(range!)
    this.#removed.add(range!.first)
  }

  /** Index of the first range that begins behind `seq`. */
  #firstAfter(seq: number): number {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#ranges[middle]!.first > seq) high = middle
      else low = middle + 1
    }
    return low
  }
}

export function contiguousOf(ranges: readonly SeqRange[]): number {
  return ranges[0]?.first === 1 ? ranges[0].last : 0
}

/** The missing [first, last] pairs below the highest stored seq. */
export function gapsOf(ranges: readonly SeqRange[]): Array<[number, number]> {
  const gaps: Array<[number, number]> = []
  let next = 1
  for (const { first, last } of ranges) {
    if (first > next) gaps.push([next, first - 1])
    next = last + 1
  }
  return gaps
}
