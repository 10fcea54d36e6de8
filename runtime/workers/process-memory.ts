import { readFileSync } from 'node:fs'

const AT_PAGESZ = 6n
const PAGE_BYTES_USUAL = 4096

/** Memory of a process that is in use now; 0: it is gone. */
export function rssBytes(pid: number): number {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1])
    return pages * pageBytes.value
  } catch {
    return 0
  }
}

/** Of processes that were forked from each other: pages that they share count once. */
export function rssBytesOf(pids: readonly number[]): number {
  if (pids.length === 1) return rssBytes(pids[0]!)
  let shares = 0
  let largest = 0
  for (const pid of pids) {
    shares += pssBytes(pid)
    largest = Math.max(largest, rssBytes(pid))
  }
  // What is shared with processes outside, such as the pages of the C library, is not made less by that.
  return Math.max(shares, largest)
}

/** A page that n processes use counts as 1/n of it. */
function pssBytes(pid: number): number {
  try {
    const [, kilobytes] = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')) ?? []
    return kilobytes === undefined ? 0 : Number(kilobytes) * 1024
  } catch {
    // It is gone, or the kernel is older than 4.14.
    return rssBytes(pid)
  }
}

/** 4 KiB nearly everywhere, 16 or 64 KiB on some ARM boards: the kernel tells each process in its auxiliary vector. */
const pageBytes = {
  get value(): number {
    const value = readPageBytes()
    Object.defineProperty(this, 'value', { value })
    return value
  },
}

function readPageBytes(): number {
  try {
    const words = readFileSync('/proc/self/auxv')
    for (let at = 0; at + 16 <= words.length; at += 16) {
      if (words.readBigUInt64LE(at) === AT_PAGESZ) return Number(words.readBigUInt64LE(at + 8))
    }
  } catch {
    // No /proc: nothing is measured there anyway.
  }
  return PAGE_BYTES_USUAL
}
