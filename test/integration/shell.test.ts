/** What a shell function may be: scripts as people write them. */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { withRig } from '../support/with-rig.ts'

const spec = (handler: string, more = '') =>
  `metadata: { name: f }\nspec: { runtime: shell, handler: '${handler}', outputStream: out${more} }`

test('script opens its input, output and errors by name', withRig, async (t, rig) => {
  const script = '#!/bin/sh\ncat /dev/stdin > /dev/stdout\necho seen > /dev/stderr\n'
  await rig.processor.activate(rig.version(spec('echo.sh'), { 'echo.sh': script }))
  const body = 'x'.repeat(300_000)
  t.is((await rig.invoke('f', body)).body.toString(), body)
  t.deepEqual(
    rig.logs.map(({ message }) => message),
    ['seen'],
  )
})

test('script that is not executable runs by its first line, and one without by sh', withRig, async (t, rig) => {
  for (const [first, expected] of [
    ['#!/usr/bin/env -S sed s/a/b/\n', '#!/usr/bin/env'],
    ['', 'plain'],
  ] as const) {
    const version = rig.version(spec('run.sh:main'), { 'run.sh': first === '' ? 'echo plain "$1"\n' : `${first}` })
    chmodSync(join(version.directory, 'run.sh'), 0o644)
    await rig.processor.activate(version)
    const answer = (await rig.invoke('f', '')).body.toString()
    t.true(answer.startsWith(expected), answer)
  }
})

test('file that is neither script nor executable is refused with what to do', withRig, async (t, rig) => {
  const version = rig.version(spec('tool'), { tool: '\u007fELF\0\0' })
  chmodSync(join(version.directory, 'tool'), 0o644)
  await t.throwsAsync(rig.processor.activate(version), {
    message: /no script and not executable[\s\S]*chmod \+x tool|no script and not executable/,
  })
})

test('header x-nuclio-arguments is data for the script, and no argument', withRig, async (t, rig) => {
  const script = '#!/bin/sh\nprintf "%s|%s" "$*" "$NUCLIO_EVENT_HEADER_X_NUCLIO_ARGUMENTS"\n'
  const triggers = ', triggers: { api: { kind: http } }, runtimeAttributes: { arguments: one two }'
  await rig.processor.activate(rig.version(spec('run.sh', triggers), { 'run.sh': script }))
  const { host, port } = rig.http.address!
  const answer = await fetch(`http://${host}:${port}/f`, { headers: { 'x-nuclio-arguments': '; id' } })
  t.is(answer.status, 200, JSON.stringify([...answer.headers]))
  t.is(await answer.text(), 'one two|; id')
})
