/** A real file system that is quickly full: 16 MB of ext4 on a loop device. Needs root that may mount. */
import type { ExecutionContext } from 'ava'
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { tempDir } from './temp-dir.ts'

const DISK_BYTES = 16 * 1024 * 1024

/** Mounts it for the test; `unmount` is called at the test's end when the test did not. */
export function mountSmallDisk(t: ExecutionContext): { mount: string; unmount: () => void } {
  const folder = tempDir(t)
  const image = join(folder, 'disk.img')
  const mount = join(folder, 'mnt')
  mkdirSync(mount)
  writeFileSync(image, '')
  truncateSync(image, DISK_BYTES)
  execFileSync('mkfs.ext4', ['-q', '-m', '0', '-O', '^has_journal', image], { stdio: 'pipe' })
  execFileSync('mount', ['-o', 'loop', image, mount], { stdio: 'pipe' })
  let isMounted = true
  const unmount = () => {
    if (isMounted) execFileSync('umount', ['-l', mount], { stdio: 'pipe' })
    isMounted = false
  }
  // Ava runs teardowns last first: before the folder is removed.
  t.teardown(unmount)
  return { mount, unmount }
}

/** Takes every block that is left; returns its file. */
export function hogDisk(mount: string): string {
  const file = join(mount, `hog-${process.hrtime.bigint()}`)
  const fd = openSync(file, 'w')
  try {
    for (const size of [256 * 1024, 4096]) {
      try {
        for (;;) writeSync(fd, Buffer.alloc(size, 3))
      } catch (error) {
        if ((error as { code?: string }).code !== 'ENOSPC') throw error
      }
    }
  } finally {
    closeSync(fd)
  }
  return file
}
