/** T12: what comes with an event is data for a shell function, whatever is written in it. */
import test, { type ExecutionContext } from 'ava'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describeError } from '../../runtime/base/errors.ts'
import type { Answer } from '../../runtime/dispatch/delivery.ts'
import { Tag } from '../../runtime/event/record.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const withRig = test.macro(async (t, run: (t: ExecutionContext, rig: ProcessorRig) => Promise<void>) => {
  const rig = await ProcessorRig.open(tempDir(t))
  try {
    await run(t, rig)
  } finally {
    await rig.close()
  }
})

/** Prints its arguments, its environment and its input, each thing ended by a NUL. */
const DUMP = `#!/bin/sh
echo log >&2
for argument do printf 'argument=%s\\0' "$argument"; done
cat /proc/self/environ
printf 'body='
cat
`

const NASTY: Record<string, string> = {
  'a command after ;': 'x; touch owned',
  'a command substitution': '$(touch owned)',
  backticks: '`touch owned`',
  'a pipe and a redirection': '| touch owned > owned',
  'a newline': 'x\ntouch owned\n',
  'a carriage return': 'x\r\ntouch owned',
  'an option': '--help',
  'a short option with a value': '-c touch owned',
  'an end of options': '-- owned',
  'quotes that close': `'"; touch owned; "'`,
  'an escape': '\\x; touch owned \\',
  'a variable': '$PATH ${IFS}touch$IFS$9owned',
  'a glob': '* ? [a-z] ~',
  'an assignment': 'PATH=/nowhere LD_PRELOAD=/tmp/x.so',
  'a function of bash (CVE-2014-6271)': '() { :;}; touch owned',
  'a format': '%s%n%99999999d',
  'a terminal sequence': '\u001b]0;x\u0007',
  'unicode that looks like ;': '\uFF1B \u037E touch owned',
}

type Item = readonly [tag: Tag, value: string, key?: string]

function invokeWith(rig: ProcessorRig, items: readonly Item[], body = ''): Promise<Answer> {
  for (const [tag, value, key] of items) rig.processor.events.head.add(tag, value, key)
  const record = rig.processor.events.finish(Buffer.from(body))
  return new Promise((resolve) => rig.processor.invoke('f', record, resolve))
}

const spec = (attributes: object = {}, more: object = {}, handler = 'dump.sh') =>
  JSON.stringify({ metadata: { name: 'f' }, spec: { runtime: 'shell', handler, runtimeAttributes: attributes, ...more } })

async function activate(rig: ProcessorRig, text = spec(), script = DUMP): Promise<string> {
  const version = rig.version(text, { 'dump.sh': script })
  await rig.processor.activate(version)
  return version.directory
}

function dumpOf({ body }: Answer): { args: string[]; env: Map<string, string>; body: string } {
  const [head, text] = body.toString().split('\0body=') as [string, string]
  const entries = head.split('\0').map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)] as const)
  const args = entries.filter(([name]) => name === 'argument').map(([, value]) => value)
  return { args, env: new Map(entries.filter(([name]) => name !== 'argument')), body: text }
}

for (const [what, value] of Object.entries(NASTY)) {
  test.serial(`${what} in every field, header and argument reaches the program as it is, and is never run`, withRig, async (t, rig) => {
    const directory = await activate(rig, spec({ arguments: [value, 'last'] }))
    const answer = await invokeWith(
      rig,
      [
        [Tag.topic, value],
        [Tag.contentType, value],
        [Tag.method, value],
        [Tag.path, value],
        [Tag.url, value],
        [Tag.type, value],
        [Tag.header, value, 'X-Value'],
      ],
      value,
    )
    t.is(answer.status, 200, answer.error)
    const { args, env, body } = dumpOf(answer)
    t.deepEqual(args, [value, 'last'])
    t.is(body, value)
    for (const name of ['TOPIC', 'CONTENT_TYPE', 'METHOD', 'PATH', 'URL', 'TYPE', 'HEADER_X_VALUE']) {
      t.is(env.get(`NUCLIO_EVENT_${name}`), value, name)
    }
    t.is(env.get('NUCLIO_EVENT_CHANGED'), undefined)
    t.deepEqual(readdirSync(directory), ['dump.sh'])
  })
}

test.serial(
  'names of headers become names that a shell takes, and none is a variable that somebody else heeds',
  withRig,
  async (t, rig) => {
    const names = ['LD_PRELOAD', 'PATH', 'a=b', 'x;id', '$(id)', '..', 'é', 'BASH_FUNC_ls%%', 'a\nb', 'IFS', ' ']
    await activate(rig)
    const answer = await invokeWith(
      rig,
      names.map((name) => [Tag.header, 'own', name]),
    )
    t.is(answer.status, 200, answer.error)
    const { env } = dumpOf(answer)
    for (const name of env.keys()) t.regex(name, /^[A-Za-z_][A-Za-z0-9_]*$/)
    t.is(env.get('PATH'), process.env['PATH'])
    t.is(env.get('NUCLIO_EVENT_HEADER_LD_PRELOAD'), 'own')
    t.false(env.has('LD_PRELOAD'))
  },
)

test.serial("environment has what the function and the event bring, and nothing of the agent's", withRig, async (t, rig) => {
  process.env['DUNLIN_TEST_TOKEN'] = 'secret'
  t.teardown(() => delete process.env['DUNLIN_TEST_TOKEN'])
  await activate(rig, spec({}, { env: [{ name: 'OWN', value: '$(id)' }] }))
  const { env } = dumpOf(await rig.invoke('f', ''))
  t.is(env.get('OWN'), '$(id)')
  const allowed = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'OWN', 'PWD', 'OLDPWD', 'SHLVL', '_']
  t.deepEqual(
    [...env.keys()].filter((name) => !name.startsWith('NUCLIO_EVENT_') && !allowed.includes(name)),
    [],
  )
})

test.serial('value with a NUL or of more than 32,768 characters is told to be changed', withRig, async (t, rig) => {
  await activate(rig)
  const { env } = dumpOf(
    await invokeWith(rig, [
      [Tag.topic, 'a\0b\0; id'],
      [Tag.header, 'x'.repeat(60_000), 'long'],
      [Tag.header, 'fine', 'short'],
    ]),
  )
  t.is(env.get('NUCLIO_EVENT_TOPIC'), 'a\uFFFDb\uFFFD; id')
  t.is(env.get('NUCLIO_EVENT_HEADER_LONG'), 'x'.repeat(32_768))
  t.is(env.get('NUCLIO_EVENT_CHANGED'), 'NUCLIO_EVENT_TOPIC NUCLIO_EVENT_HEADER_LONG')
})

for (const mode of ['perEvent', 'persistent']) {
  test.serial(`event with more fields than an environment holds fails with the sizes, mode ${mode}`, withRig, async (t, rig) => {
    await activate(rig, spec({ mode }), mode === 'perEvent' ? DUMP : '#!/bin/sh\nread -r line\nexec sleep 300\n')
    const answer = await invokeWith(
      rig,
      Array.from({ length: 40 }, (_, i) => [Tag.header, 'x'.repeat(30_000), `h${i}`]),
    )
    t.true(answer.status >= 500)
    t.regex(answer.error ?? '', /fields to a program: 12\d{5} bytes of environment, at most 524288/)
    t.is(rig.processor.status()[0]!.workers.restarts, 0)
    if (mode === 'perEvent') t.is((await rig.invoke('f', '')).status, 200)
  })
}

test.serial('arguments that the kernel refuses fail each event with the reason, and the agent goes on', withRig, async (t, rig) => {
  await activate(rig, spec({ arguments: ['x'.repeat(200_000)] }))
  for (let i = 0; i < 3; i++) {
    const answer = await rig.invoke('f', '')
    t.is(answer.status, 500)
    t.is(answer.error, 'Cannot run the program: its arguments and environment are larger than this machine allows')
  }
  const persistent = rig.version(spec({ mode: 'persistent', arguments: ['x'.repeat(200_000)] }), { 'dump.sh': DUMP })
  const error = await t.throwsAsync(rig.processor.activate(persistent))
  t.regex(describeError(error), /larger than this machine allows/)
})

const header = (value: string): Item[] => [[Tag.header, value, 'X-Nuclio-Arguments']]

test.serial('header x-nuclio-arguments is no argument unless the function says so', withRig, async (t, rig) => {
  await activate(rig, spec({ arguments: 'own' }))
  t.deepEqual(dumpOf(await invokeWith(rig, header('; touch owned'))).args, ['own'])
})

test.serial('arguments of a header are split and given as they are, behind the script', withRig, async (t, rig) => {
  const directory = await activate(rig, spec({ arguments: 'own', argumentsFromHeader: true }))
  const { args } = dumpOf(await invokeWith(rig, header('-c "two words" ; touch owned $(touch owned) `id` --x')))
  t.deepEqual(args, ['-c', 'two words', ';', 'touch', 'owned', '$(touch', 'owned)', '`id`', '--x'])
  t.deepEqual(dumpOf(await rig.invoke('f', '')).args, ['own'])
  t.false(existsSync(`${directory}/owned`))
  t.regex((await invokeWith(rig, header('a\0b'))).error ?? '', /NUL/)
  t.regex((await invokeWith(rig, header('a '.repeat(300)))).error ?? '', /300 arguments, at most 256/)
})

test.serial('arguments of a header are refused for a program of the PATH, which they could make run anything', withRig, async (t, rig) => {
  const version = rig.version(spec({ argumentsFromHeader: true }, {}, 'sh'), {})
  await t.throwsAsync(rig.processor.activate(version), { message: /no file of the bundle/ })
})

test.serial('time-out ends the program and what it has started', withRig, async (t, rig) => {
  await activate(rig, spec({}, { eventTimeout: '1s' }), '#!/bin/sh\nsleep 300 &\necho $! $$ >&2\nsleep 301\n')
  const answer = await rig.invoke('f', '')
  t.regex(answer.error ?? '', /did not end within 1000 ms/)
  const pids = rig.logs[0]!.message.split(' ').map(Number)
  t.is(pids.length, 2)
  await rig.until(() => pids.every((pid) => !isAlive(pid)))
  t.pass()
})

const isAlive = (pid: number) => existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ')

test.serial('output of more than 16 MiB fails the event, and so does every exit code but 0', withRig, async (t, rig) => {
  await activate(rig, spec({ responseHeaders: { 'X-Own': 'a; b' } }), '#!/bin/sh\nread -r what\neval "$what"\n')
  t.regex((await rig.invoke('f', 'cat /dev/zero\n')).error ?? '', /wrote more than 16777216 bytes/)
  t.is((await rig.invoke('f', 'echo later >&2; exit 75\n')).error, 'Program ended with exit code 75: later')
  const answer = await rig.invoke('f', 'echo log >&2; echo out\n')
  t.like(answer, { status: 200, headers: { 'X-Own': 'a; b' } })
  t.is(answer.body.toString(), 'out\n')
})
