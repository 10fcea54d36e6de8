import test, { type ExecutionContext } from 'ava'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { runtimes } from '../../../runtime/workers/registry.ts'
import { needs } from '../packages.ts'
import { DrivenWorker } from './driven-worker.ts'
import { fixtureVersion, guestKinds, type GuestKind } from './guest-kinds.ts'

/**
 * Registers one test per kind of guest. The tests of a file share one worker of each kind (a JVM starts in half a second, and there
 * are many tests); one that ends its worker starts its own with `DrivenWorker.start`.
 */
export function forEachGuest(what: string, run: (t: ExecutionContext, worker: DrivenWorker, kind: GuestKind) => Promise<void>): void {
  for (const kind of guestKinds) {
    needs(test.serial, ...kind.needs)(`${kind.name} guest ${what}`, async (t) => run(t, await sharedWorker(kind), kind))
  }
}

/** The same without a worker. `where`: only these kinds. */
export function forEachKind(
  what: string,
  run: (t: ExecutionContext, kind: GuestKind) => Promise<void>,
  where: (kind: GuestKind) => boolean = () => true,
): void {
  for (const kind of guestKinds.filter(where)) needs(test.serial, ...kind.needs)(`${kind.name} guest ${what}`, (t) => run(t, kind))
}

const shared = new Map<string, Promise<DrivenWorker>>()
const directories: string[] = []

function sharedWorker(kind: GuestKind): Promise<DrivenWorker> {
  let started = shared.get(kind.name)
  if (!started) shared.set(kind.name, (started = start(kind)))
  return started
}

async function start(kind: GuestKind): Promise<DrivenWorker> {
  const directory = mkdtempSync(path.join(tmpdir(), 'dunlin-guests-'))
  directories.push(directory)
  const version = fixtureVersion(kind, directory, 'fixture', '  loggerSinks: [{ level: debug }]')
  const driven = new DrivenWorker(version, await runtimes[version.config.runtime]())
  await driven.worker.start()
  return driven
}

test.after.always('shared workers stop', async () => {
  await Promise.allSettled([...shared.values()].map(async (started) => (await started).worker.stop(2000)))
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})
