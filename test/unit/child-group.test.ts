import test from 'ava'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { ChildGroup } from '../../runtime/workers/child-groups.ts'

test('a group that was killed is not killed again: its number may be that of another', async (t) => {
  const child = spawn('sleep', ['300'], { detached: true, stdio: 'ignore' })
  t.teardown(() => child.kill('SIGKILL'))
  const group = new ChildGroup(undefined)
  group.add(child.pid)
  t.true(group.memoryBytes() > 0)
  const exit = once(child, 'exit')
  group.kill()
  t.is(group.memoryBytes(), 0, 'it has no number any more')
  await exit
  // As if the number was another's: this process would be killed with its group.
  const kill = process.kill.bind(process)
  const killed: number[] = []
  process.kill = (pid, signal) => {
    killed.push(pid)
    return kill(pid, signal)
  }
  t.teardown(() => (process.kill = kill))
  group.close()
  t.deepEqual(killed, [])
})
