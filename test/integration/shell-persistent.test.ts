/** `mode: persistent`: one program for many events. */
import test, { type ExecutionContext } from 'ava'
import { readFileSync } from 'node:fs'
import type { FunctionVersion } from '../../runtime/workers/worker.ts'
import { needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

type Run = (t: ExecutionContext, rig: ProcessorRig) => Promise<void>

async function runWithRig(t: ExecutionContext, run: Run): Promise<void> {
  const rig = await ProcessorRig.open(tempDir(t))
  try {
    await run(t, rig)
  } finally {
    await rig.close()
  }
}
const withRig = test.macro((t, run: Run) => runWithRig(t, run))

interface Given {
  readonly framing?: string
  readonly more?: string
  readonly trigger?: string
  readonly attributes?: string
}

function versionOf(rig: ProcessorRig, handler: string, script: string, given: Given = {}): FunctionVersion {
  const { framing = 'frames', more = '', trigger = 'concurrency: 16', attributes = '' } = given
  const spec = `metadata: { name: f }
spec:
  runtime: shell
  handler: ${handler}
  outputStream: out
  retry: { first: 10ms, max: 1s }
${more}
  runtimeAttributes: { mode: persistent, framing: ${framing}${attributes} }
  triggers:
    in: { kind: mqtt, ${trigger}, attributes: { subscriptions: [{ topic: 'in/#' }] } }
`
  return rig.version(spec, { [handler]: script })
}

/** Reads frames; \`answer\` sees the fields as variables, \`$size\` and \`$body\`. */
const frames = (answer: string) => `#!/bin/sh
while read -r word size count; do
  [ "$word" = EVENT ] || exit 9
  topic= header=
  while [ "$count" -gt 0 ]; do
    IFS= read -r line
    case $line in
      NUCLIO_EVENT_TOPIC=*) topic=\${line#*=} ;;
      NUCLIO_EVENT_HEADER_A=*) header=\${line#*=} ;;
    esac
    count=$((count - 1))
  done
  body=$(head -c "$size"; echo .)
  body=\${body%.}
  ${answer}
done
`
/** Two-line bodies come back as they are; the pid tells who answered. */
test.serial('program of frames answers any body, and is one process for all events', withRig, async (t, rig) => {
  const pid = frames('printf "OK %d 2\\nContent-Type: text/x-own\\nX-Pid: %d\\n%s" "$size" $$ "$body"')
  await rig.processor.activate(versionOf(rig, 'echo.sh', pid))
  const answers = await Promise.all(['one', '', 'two\nlines\n', 'ü ✓'].map((body) => rig.invoke('f', body)))
  t.deepEqual(
    answers.map(({ status, body, contentType }) => [status, body.toString(), contentType]),
    ['one', '', 'two\nlines\n', 'ü ✓'].map((body) => [200, body, 'text/x-own']),
  )
  t.is(new Set(answers.map(({ headers }) => headers['X-Pid'])).size, 1)
})

test.serial('program of frames fails an event by FAIL and goes on', withRig, async (t, rig) => {
  const script = frames('if [ "$body" = bad ]; then printf "FAIL 7\\nno good"; else printf "OK 1 1\\nStatus: 201\\ny"; fi')
  await rig.processor.activate(versionOf(rig, 'f.sh', script))
  t.like(await rig.invoke('f', 'bad'), { status: 500, error: 'no good' })
  t.like(await rig.invoke('f', 'fine'), { status: 201, body: Buffer.from('y') })
})

const python: Run = async (t, rig) => {
  const script = `#!/usr/bin/env python3
import sys
inp, out = sys.stdin.buffer, sys.stdout.buffer
for line in inp:
    word, size, count = line.split()
    fields = dict(inp.readline().decode().rstrip('\\n').split('=', 1) for _ in range(int(count)))
    body = inp.read(int(size))
    if body == b'topic': body = fields['NUCLIO_EVENT_TOPIC'].encode() + b' ' + fields['NUCLIO_EVENT_TRIGGER_KIND'].encode()
    out.write(b'OK %d\\n' % len(body) + body)
    out.flush()
`
  await rig.processor.activate(versionOf(rig, 'f.py', script))
  const large = 'a\n\0'.repeat(300_000)
  t.is((await rig.invoke('f', large)).body.toString(), large)
  await rig.publish('in/x%\n$(id)', 'topic')
  await rig.until(async () => (await rig.rows('out')).length === 2)
  t.is((await rig.rows('out'))[1], 'in/x%25%0A$(id) mqtt')
}
needs(test.serial, 'python3')('program that reads bytes gets a body of 900 kB and every field, escaped', (t) => runWithRig(t, python))

test.serial('lines go to awk in order, one in and one out', withRig, async (t, rig) => {
  // Without -W interactive, mawk waits until its buffer is full.
  const script = `#!/bin/sh\nexec awk -W interactive '{ print $1 * 2; fflush() }'\n`
  await rig.processor.activate(versionOf(rig, 'double.sh', script, { framing: 'lines' }))
  await Promise.all(Array.from({ length: 300 }, (_, i) => rig.publish('in/a', String(i))))
  await rig.until(async () => (await rig.rows('out')).length === 300)
  t.deepEqual(
    await rig.rows('out'),
    Array.from({ length: 300 }, (_, i) => String(2 * i)),
  )
  t.like((await rig.store.ledger()).sources[0]!, { accepted: 300, delivered: 300, waiting: 0, balanced: true })
})

test.serial('body of two lines fails in framing lines with what to do, and the program goes on', withRig, async (t, rig) => {
  const version = versionOf(rig, 'cat.sh', '#!/bin/sh\nexec cat\n', { framing: 'lines' })
  await rig.processor.activate(version)
  const failed = await rig.invoke('f', 'a\nb')
  t.true(failed.status >= 500)
  t.regex(failed.error ?? '', /more than one line/)
  t.is((await rig.invoke('f', 'a\n')).body.toString(), 'a')
})

test.serial('batch is a JSON array on one line, and one line answers it', withRig, async (t, rig) => {
  const script = '#!/bin/sh\nwhile IFS= read -r line; do printf "%s\\n" "$line" | tr -cd "{" | wc -c; done\n'
  const trigger = 'batch: { mode: enable, batchSize: 3, timeout: 60m }'
  await rig.processor.activate(versionOf(rig, 'count.sh', script, { framing: 'lines', trigger }))
  await Promise.all(['1', '2', '3'].map((body) => rig.publish(`in/${body}`, body)))
  await rig.until(async () => (await rig.rows('out')).length === 3)
  t.deepEqual(await rig.rows('out'), ['3', '3', '3'])
})

const faults: Record<string, readonly [script: string, reason: RegExp]> = {
  'hangs with what it has forked': [frames('if [ "$body" = bad ]; then sleep 300; fi; printf "OK 1\\nx"'), /did not answer within 500 ms/],
  ends: [frames('if [ "$body" = bad ]; then echo enough >&2; exit 3; fi; printf "OK 1\\nx"'), /ended by itself: exit code 3: enough/],
  'prints what is no answer': [
    frames('if [ "$body" = bad ]; then echo "debug: here"; fi; printf "OK 1\\nx"'),
    /broke the framing: expected a line "OK <bytes>" or "FAIL <bytes>", got "debug: here"/,
  ],
  'promises too much': [frames('if [ "$body" = bad ]; then echo "OK 99999999"; fi; printf "OK 1\\nx"'), /99999999 bytes, at most 16777216/],
  'writes a line without end': [
    frames('if [ "$body" = bad ]; then head -c 9000 /dev/zero; fi; printf "OK 1\\nx"'),
    /a line of more than 8192 bytes/,
  ],
}

for (const [title, [script, reason]] of Object.entries(faults)) {
  test.serial(`program that ${title} is started again; the event is counted, then dead, and others flow on`, withRig, async (t, rig) => {
    await rig.processor.activate(versionOf(rig, 'f.sh', script, { more: '  maxAttempts: 2\n  eventTimeout: 500ms' }))
    await Promise.all(['a', 'bad', 'b', 'c'].map((body) => rig.publish(`in/${body}`, body)))
    await rig.until(async () => (await rig.store.deadLetters(10)).length === 1 && (await rig.rows('out')).length >= 3)
    const [letter] = await rig.store.deadLetters(10)
    t.like(letter, { function: 'f', attempts: 2 })
    t.regex(letter!.error, reason)
    t.deepEqual(await rig.rows('out'), ['x', 'x', 'x'])
    await rig.store.flush()
    t.like((await rig.store.ledger()).sources[0]!, { accepted: 4, delivered: 3, dead: 1, waiting: 0, balanced: true })
  })
}

test.serial('answer that nobody asked for ends the program', withRig, async (t, rig) => {
  const version = versionOf(rig, 'f.sh', '#!/bin/sh\nread -r a\nprintf "%s\\nmore\\n" "$a"\nexec cat\n', { framing: 'lines' })
  await rig.processor.activate(version)
  t.is((await rig.invoke('f', 'one')).body.toString(), 'one')
  await rig.until(() => rig.processor.status()[0]!.workers.restarts > 0)
  t.is((await rig.invoke('f', 'two')).body.toString(), 'two')
})

test.serial('program that is not there is told when the function starts', withRig, async (t, rig) => {
  const spec = 'metadata: { name: f }\nspec: { runtime: shell, handler: no-such-program, runtimeAttributes: { mode: persistent } }'
  await t.throwsAsync(rig.processor.activate(rig.version(spec, {})), { message: /Cannot (run|start)/ })
})

test.serial('program is told to end by the end of its input, after it has answered', withRig, async (t, rig) => {
  const script = '#!/bin/sh\nwhile IFS= read -r line; do printf "%s\\n" "$line"; done\necho good bye >&2\n'
  await rig.processor.activate(versionOf(rig, 'f.sh', script, { framing: 'lines' }))
  t.is((await rig.invoke('f', 'x')).body.toString(), 'x')
  await rig.processor.deactivate('f', 5_000)
  t.deepEqual(
    rig.logs.map(({ message }) => message),
    ['good bye'],
  )
})

const page = readFileSync(new URL('../../docs/shell.md', import.meta.url), 'utf8')
/** The program of docs/shell.md that has `part` in it. */
function shownProgram(part: string): string {
  const programs = [...page.matchAll(/```(?:sh|python)\n([\s\S]*?)```/g)].map(([, text]) => text!)
  return programs.find((text) => text.includes(part))!
}

const shown = {
  awk: ['exec awk', 'lines', '20', '68'],
  sh: ['while read', 'frames', '20', ' 20'],
  python: ['import sys', 'frames', 'a\nb', 'a\nb'],
} as const

for (const [name, [part, framing, body, expected]] of Object.entries(shown)) {
  needs(test.serial, ...(name === 'python' ? (['python3'] as const) : []))(`program in ${name} of docs/shell.md runs as it stands`, (t) =>
    runWithRig(t, async (_t, rig) => {
      await rig.processor.activate(versionOf(rig, 'shown', shownProgram(part), { framing }))
      t.is((await rig.invoke('f', body)).body.toString(), expected)
    }),
  )
}

test.serial('example shell-persistent keeps a mean over its events', withRig, async (t, rig) => {
  const folder = new URL('../../examples/shell-persistent/', import.meta.url)
  const files = Object.fromEntries(['smooth.sh'].map((name) => [name, readFileSync(new URL(name, folder), 'utf8')]))
  await rig.processor.activate(rig.version(readFileSync(new URL('function.yaml', folder), 'utf8'), files))
  for (const body of ['20', '30', 'x', '40']) await rig.publish('readings/a', body)
  await rig.until(async () => (await rig.rows('smoothed')).length === 4)
  t.deepEqual(await rig.rows('smoothed'), ['20', '25', 'no number', '32.5'])
})
