/** `dunlin new` and `dunlin test`: a function to begin with passes its own cases, and what differs is told. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { templates } from '../../agent/source/template.ts'
import { dunlin } from '../support/cli.ts'
import { needs, type NeedName } from '../support/packages.ts'
import { tempDir } from '../support/temp-dir.ts'

const NEEDED: Readonly<Record<string, readonly NeedName[]>> = { python: ['python3'], java: ['java', 'javac'] }

for (const template of Object.keys(templates())) {
  needs(test, ...(NEEDED[template] ?? []))(`new ${template} makes a function that passes its cases`, async (t) => {
    const folder = join(tempDir(t), 'pump-watch')
    const made = JSON.parse((await dunlin(['new', template, folder, '-o', 'json'])).out) as { name: string; files: string[] }
    t.is(made.name, 'pump-watch')
    t.true(made.files.includes('function.yaml'))
    const { code, out, err } = await dunlin(['test', folder, '-o', 'json'])
    t.is(code, 0, out + err)
    t.like(JSON.parse(out), { function: 'pump-watch', failed: 0 })
  })
}

test('new refuses a folder with something in it, and guesses a template that there is not', async (t) => {
  const folder = tempDir(t)
  writeFileSync(join(folder, 'mine.txt'), 'mine')
  const taken = await dunlin(['new', 'javascript', folder])
  t.is(taken.code, 1)
  t.regex(taken.err, /something is there already/)
  t.regex((await dunlin(['new', 'javascrpt', join(folder, 'x')])).err, /did you mean "javascript"/)
})

const HANDLER = `
export async function handler(context, event) {
  const seen = ((await context.state.get('seen')) ?? 0) + 1
  context.state.set('seen', seen)
  if (event.body.toString() === 'fail') throw new Error('broken on purpose')
  context.emit('out', { body: event.body.toString(), at: Date.now(), from: event.trigger.kind })
  context.publish('echo/' + event.topic, event.body, { qos: 1 })
  context.logger.info('seen', { seen })
  return { seen, text: event.body.toString() }
}
`

function withCases(folder: string, cases: string): string {
  const file = join(folder, 'hello.js')
  writeFileSync(file, HANDLER)
  writeFileSync(join(folder, 'hello.test.yaml'), cases)
  return file
}

test('test compares answer, emits, publications, state, logs and failures, and rules stand for what varies', async (t) => {
  const file = withCases(
    tempDir(t),
    `cases:
  - name: all that comes of it
    event: { topic: a/b, body: one, headers: { n: 1 } }
    expect:
      status: 200
      contentType: { $match: json }
      body: { seen: 1, text: one }
      emits: [{ stream: out, body: { body: one, at: { $type: number }, from: { $any: true } } }]
      publishes: [{ topic: echo/a/b, qos: 1, body: one }]
      state: { seen: { $near: [1, 0] }, other: null }
      logs: ['seen {"seen":1}']
  - name: a failure leaves nothing behind
    event: { body: fail }
    expect: { status: 500, error: { $match: broken on purpose }, emits: [], state: { seen: 1 } }
  - name: no expectation
    event: { bodyBase64: b25l }
`,
  )
  const { code, out } = await dunlin(['test', file])
  t.is(code, 0, out)
  t.regex(out, /hello \(nodejs\)[\s\S]*ok {4}all that comes of it[\s\S]*3 passed/)
})

test('test names each difference with its place and exits with 1', async (t) => {
  const file = withCases(
    tempDir(t),
    `cases:
  - name: wrong
    event: { topic: a/b, body: one }
    expect: { body: { seen: 2 }, emits: [], state: { gone: 1 } }
  - name: fails unexpectedly
    event: { body: fail }
`,
  )
  const { code, out } = await dunlin(['test', file])
  t.is(code, 1)
  t.true(out.includes('body.seen: expected 2, got 1'), out)
  t.true(out.includes('body.text: expected nothing, got "one"'), out)
  t.true(out.includes('emits: expected 0, got 1'), out)
  t.true(out.includes('state.gone: expected 1, got nothing'), out)
  t.true(out.includes('expected an answer below 500, got 500: Error: broken on purpose') || out.includes('broken on purpose'), out)
  t.regex(out, /0 passed, 2 failed/)
})

test('test --update writes what came as what is expected and keeps comments', async (t) => {
  const folder = tempDir(t)
  const file = withCases(folder, '# kept\ncases:\n  - name: one # kept too\n    event: { body: fail }\n    expect: { status: 200 }\n')
  t.is((await dunlin(['test', file])).code, 1)
  t.is((await dunlin(['test', file, '--update'])).code, 0)
  const text = readFileSync(join(folder, 'hello.test.yaml'), 'utf8')
  t.regex(text, /# kept\n[\s\S]*# kept too\n[\s\S]*status: 500\n\s+error: .*broken on purpose/)
  t.is((await dunlin(['test', file])).code, 0)
})

test('test without cases says where they go, and wrong cases are told with line and column', async (t) => {
  const folder = tempDir(t)
  const file = withCases(folder, 'cases:\n  - name: x\n    evnt: {}\n')
  const wrong = await dunlin(['test', file])
  t.is(wrong.code, 78)
  t.regex(wrong.err, /hello\.test\.yaml:3:5 cases\[0\]\.evnt: unknown key[\s\S]*did you mean "event"/)
  writeFileSync(join(folder, 'other.js'), HANDLER)
  const none = await dunlin(['test', join(folder, 'other.js')])
  t.is(none.code, 1)
  t.regex(none.err, /other\.test\.yaml/)
})
