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
