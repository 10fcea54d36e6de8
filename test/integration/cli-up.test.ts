/** `dunlin up` and the verbs against it: real processes, in a home of the test's own. */
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { childrenOf, dunlin, endOf, processesOf, saying, startDunlin } from '../support/cli.ts'
import { tempDir } from '../support/temp-dir.ts'

const ANY_PORTS = ['api', 'gateway', 'broker', 'http'].flatMap((name) => [`--${name}-listen`, '127.0.0.1:0'])
const STARTED = 'Ctrl-C stops everything.'

async function startUp(t: ExecutionContext, home: string) {
  const child = startDunlin(['up', '--home', home, '--no-example', ...ANY_PORTS])
  t.teardown(() => child.kill('SIGKILL'))
  const ended = endOf(child)
  await saying(child, STARTED)
  return { child, ended }
}

/** Resolves when no process of this home is left. */
async function untilGone(home: string): Promise<void> {
  while (processesOf(home).length > 0) await new Promise((resolve) => setTimeout(resolve, 20))
}

test.serial('up in a deep folder is reached by every verb, and leaves no process behind after Ctrl-C', async (t) => {
  // Deeper than a Unix socket's path may be.
  const home = join(tempDir(t), 'd'.repeat(60), 'e'.repeat(60))
  mkdirSync(home, { recursive: true })
  const { child, ended } = await startUp(t, home)
  const json = async (...args: string[]) => {
    const { code, out, err } = await dunlin([...args, '--home', home, '-o', 'json'])
    t.is(code, 0, err)
    return JSON.parse(out)
  }

  const { devices } = await json('get', 'devices')
  t.like(devices[0], { state: 'accepted', connected: true })
  const status = await json('status')
  t.deepEqual(Object.keys(status), ['home', 'hub', 'agent', 'rates', 'ledger'])
  t.like(status, {
    home,
    hub: { reachable: true, devices: { accepted: 1 } },
    agent: { device: devices[0].id },
    ledger: { balanced: true, dead: 0 },
  })
  t.deepEqual(await json('get', 'functions'), { functions: [] })
  t.deepEqual(await json('get', 'events'), { events: [] })
  t.deepEqual(await json('get', 'streams'), { streams: [] })
  t.deepEqual(await json('get', 'dead-letters'), { deadLetters: [] })
  t.deepEqual(await json('logs'), { lines: [] })

  const file = join(home, 'hello.py')
  writeFileSync(
    file,
    'def handler(context, event):\n    context.logger.info("asked")\n    context.emit("asked", event.body.decode())\n    return "hello " + event.body.decode()\n',
  )
  t.like(await json('deploy', file, '--wait'), {
    function: 'hello',
    version: 1,
    isNew: true,
    devices: [{ device: devices[0].id, state: 'committed', error: null }],
  })
  t.like(await json('deploy', file, '--wait'), { version: 1, isNew: false })
  t.deepEqual(await json('invoke', 'hello', '--body', 'you'), { status: 200, contentType: 'text/plain', body: 'hello you' })
  t.is((await dunlin(['invoke', 'hello', '--body', 'you', '--home', home])).out, 'hello you')
  t.like((await json('logs', 'hello')).lines[0], { level: 'info', function: 'hello', message: 'asked' })
  const follow = startDunlin(['get', 'events', '--stream', 'asked', '--follow', '-o', 'json', '--home', home])
  const [line] = (await once(follow.stdout!, 'data')) as [Buffer]
  follow.kill()
  t.like(JSON.parse(line.toString().split('\n')[0]!), { device: devices[0].id, stream: 'asked', seq: 1, body: 'you' })

  // What it handles becomes cases that it passes.
  let isRecorded = false
  const recording = dunlin(['record', 'hello', '--count', '2', '--home', home]).finally(() => (isRecorded = true))
  for (;;) {
    if (isRecorded) break
    await json('invoke', 'hello', '--body', 'again')
  }
  const cases = join(home, 'recorded.yaml')
  writeFileSync(cases, (await recording).out)
  const tested = await dunlin(['test', file, '--cases', cases, '-o', 'json'])
  t.is(tested.code, 0, tested.out)
  t.like(JSON.parse(tested.out), { passed: 2, failed: 0 })

  writeFileSync(file, 'def handler(\n')
  const failed = await dunlin(['deploy', file, '--wait', '--home', home])
  t.is(failed.code, 1)
  t.regex(failed.out, /rolled back: SyntaxError/)
  t.is((await dunlin(['deploy', file, '--device', 'nobody', '--home', home])).code, 1)
  t.is((await dunlin(['invoke', 'nobody', '--home', home])).code, 1)
  const wrong = await dunlin(['invoke', 'hello', '--trigger', 'mqtt', '--home', home])
  t.is(wrong.code, 1)
  t.regex(wrong.err, /no trigger "mqtt"; it has: http \(http\)/)

  const second = await dunlin(['up', '--home', home])
  t.is(second.code, 75)
  t.true(second.err.includes(`process ${child.pid}`), second.err)

  child.kill('SIGINT')
  const { code, out } = await ended
  t.is(code, 0)
  t.true(out.endsWith('stopped\n'), out)
  t.deepEqual(processesOf(home), [])
})

test.serial('up that is killed takes its children along, and the next one is the same device', async (t) => {
  const home = join(tempDir(t), 'home')
  const first = await startUp(t, home)
  const enrolment = readFileSync(join(home, 'agent/identity/enrolment.json'), 'utf8')
  t.is(childrenOf(first.child).length, 2)
  first.child.kill('SIGKILL')
  await first.ended
  const { child, ended } = await startUp(t, home)
  t.is(readFileSync(join(home, 'agent/identity/enrolment.json'), 'utf8'), enrolment)
  const { devices } = JSON.parse((await dunlin(['get', 'devices', '-o', 'json', '--home', home])).out)
  t.is(devices.length, 1)
  child.kill('SIGTERM')
  t.is((await ended).code, 0)
  await untilGone(home)
  t.pass()
})

test.serial('agent that ends by accident is started again', async (t) => {
  const home = join(tempDir(t), 'home')
  const { child, ended } = await startUp(t, home)
  process.kill(
    childrenOf(child).find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('agent/main.ts'))!,
    'SIGKILL',
  )
  await saying(child, 'the agent runs again')
  const status = JSON.parse((await dunlin(['status', '-o', 'json', '--home', home])).out)
  t.is(status.agent.boot, 2)
  child.kill('SIGINT')
  t.is((await ended).code, 0)
})
