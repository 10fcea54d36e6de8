/** kill -9 of the agent leaves no child behind, however busy it is. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import test from 'ava'
import { guestKinds } from '../support/guests/guest-kinds.ts'
import { NEEDS, needs } from '../support/packages.ts'
import { tempDir } from '../support/temp-dir.ts'

const AGENT = path.join(import.meta.dirname, '../support/guests/agent-child.ts')
const GONE_WITHIN_MS = 2_000

const isThere = (kind: (typeof guestKinds)[number]): boolean =>
  kind.needs.every((name) => NEEDS.find((need) => need.name === name)!.isThere())

needs(test, 'python3')('busy workers of every kind are gone within 2 s of the kill of their agent', async (t) => {
  const kinds = guestKinds.filter((kind) => kind.isProcess && isThere(kind))
  const agent = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', AGENT, tempDir(t), ...kinds.map(({ name }) => name)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => agent.kill('SIGKILL'))
  const [line] = (await once(createInterface(agent.stdout), 'line')) as [string]
  const pids = JSON.parse(line) as Record<string, number>
  t.deepEqual(Object.keys(pids).sort(), kinds.map(({ name }) => name).sort())
  t.teardown(() => {
    for (const pid of Object.values(pids)) if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL')
  })
  agent.kill('SIGKILL')
  await once(agent, 'exit')
  const killed = performance.now()
  const left = (): string[] => Object.keys(pids).filter((name) => isRunning(pids[name]!))
  while (left().length > 0 && performance.now() - killed < GONE_WITHIN_MS) await wait(20)
  t.deepEqual(left(), [])
})

/** A process that nobody has waited for yet is gone all the same. */
function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}/exe`)
}
