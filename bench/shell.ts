import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Bed, type GuestKind } from './guests.ts'
import { printTable, type Row } from './support.ts'

/** A program that echoes: started for each event (the reference), and started once, by lines and by frames. */
export async function run(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'dunlin-bench-'))
  try {
    writeFileSync(join(folder, 'echo.py'), ECHO, { mode: 0o755 })
    const reference = await measure(PER_EVENT, folder)
    const rows: Row[] = []
    for (const kind of PERSISTENT) {
      const { one, many } = await measure(kind, folder)
      rows.push(
        { what: `${kind.name}, 1 in flight, median`, ours: one.medianUs, reference: reference.one.medianUs, unit: 'us', reach: '<= 0.2' },
        { what: `${kind.name}, many in flight`, ours: many.perSecond, reference: reference.many.perSecond, unit: '/s', reach: '>= 20' },
      )
    }
    printTable('shell, body of 1 KiB: one program for all events against a program for each', rows)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const PER_EVENT: GuestKind = { name: 'cat', spec: 'runtime: shell, handler: cat', share: 1 / 400, sizes: [] }
const PERSISTENT: readonly GuestKind[] = [
  { name: 'lines, cat', spec: attributes('cat', 'lines'), share: 1, sizes: [] },
  { name: 'frames, Python', spec: attributes('echo.py', 'frames'), share: 1, sizes: [] },
]
const SIZE = { name: '1 KiB', bytes: 1 << 10, events: 40_000 }
const IN_FLIGHT = 1024

function attributes(handler: string, framing: string): string {
  return `runtime: shell, handler: ${handler}, runtimeAttributes: { mode: persistent, framing: ${framing} }`
}

async function measure(kind: GuestKind, folder: string) {
  const bed = new Bed(kind, folder)
  await bed.start(1)
  const one = await bed.echo(SIZE, 1, 1, kind.share / 10)
  const many = await bed.echo(SIZE, IN_FLIGHT, 1, kind.share)
  await bed.stop()
  return { one, many }
}

/** The shortest program of frames that there is in Python. */
const ECHO = `#!/usr/bin/env python3
import sys
source, target = sys.stdin.buffer, sys.stdout.buffer
for line in source:
    word, size, count = line.split()
    for _ in range(int(count)):
        source.readline()
    body = source.read(int(size))
    target.write(b'OK %d\\n%s' % (len(body), body))
    target.flush()
`
