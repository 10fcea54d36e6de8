/** `dunlin run`: a function from its source, taken up anew when it changes, and under a debugger. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { endOf, startDunlin } from '../support/cli.ts'
import { needs } from '../support/packages.ts'
import { freePort } from '../support/free-port.ts'
import { tempDir } from '../support/temp-dir.ts'

const python = needs(test, 'python3')

class Running {
  readonly url: string
  readonly #child: ChildProcess
  #said = ''
  #wake: () => void = () => {}

  private constructor(child: ChildProcess, url: string) {
    this.#child = child
    this.url = url
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (chunk: Buffer) => {
        this.#said += chunk.toString()
        this.#wake()
      })
    }
  }

  static async start(t: ExecutionContext, file: string, ...options: string[]): Promise<Running> {
    const [http, broker] = [await freePort(), await freePort()]
    const listen = ['--http-listen', `127.0.0.1:${http}`, '--broker-listen', `127.0.0.1:${broker}`]
    const child = startDunlin(['run', file, ...listen, ...options])
    const ended = endOf(child)
    t.teardown(async () => {
      child.kill('SIGINT')
      await ended
    })
    return new Running(child, `http://127.0.0.1:${http}`)
  }

  /** Resolves when this was said since the last call. */
  async hear(what: string): Promise<void> {
    while (!this.#said.includes(what)) {
      if (this.#child.exitCode !== null) throw new Error(`ended without "${what}": ${this.#said}`)
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    this.#said = this.#said.slice(this.#said.indexOf(what) + what.length)
  }

  async ask(path: string): Promise<string> {
    return await (await fetch(this.url + path, { method: 'POST', body: 'x' })).text()
  }
}

const pythonAnswering = (text: string) => `def handler(context, event):\n    return ${JSON.stringify(text)}\n`

python(
  'run --watch takes a change up without letting go of its port, and keeps the version before when the new one is wrong',
  async (t) => {
    const file = join(tempDir(t), 'hello.py')
    writeFileSync(file, pythonAnswering('one'))
    const run = await Running.start(t, file, '--watch')
    await run.hear('Ctrl-C stops it')
    t.is(await run.ask('/hello'), 'one')

    writeFileSync(file, pythonAnswering('two'))
    await run.hear('runs again')
    t.is(await run.ask('/hello'), 'two')

    writeFileSync(file, 'def handler(context, event:\n')
    await run.hear('SyntaxError')
    await run.hear('the version before runs on')
    t.is(await run.ask('/hello'), 'two')

    writeFileSync(file, pythonAnswering('three'))
    await run.hear('runs again')
    t.is(await run.ask('/hello'), 'three')
  },
)

test('run --watch of a folder follows a new name, and says where a wrong function.yaml is wrong', async (t) => {
  const folder = tempDir(t)
  const yaml = (name: string, runtime = 'nodejs') =>
    `metadata:\n  name: ${name}\nspec:\n  runtime: ${runtime}\n  triggers:\n    api:\n      kind: http\n`
  writeFileSync(join(folder, 'main.js'), 'export const handler = (context) => context.trigger.name\n')
  writeFileSync(join(folder, 'function.yaml'), yaml('first'))
  const run = await Running.start(t, folder, '--watch')
  await run.hear('Ctrl-C stops it')
  writeFileSync(join(folder, 'function.yaml'), yaml('first', 'nodjs'))
  await run.hear('function.yaml:4:12 spec.runtime')
  t.is(await run.ask('/first'), 'api')
  writeFileSync(join(folder, 'function.yaml'), yaml('second'))
  await run.hear('second runs again')
  t.is(await run.ask('/second'), 'api')
  t.is((await fetch(`${run.url}/first`)).status, 404)
})

test('run --inspect of a nodejs function opens its inspector', async (t) => {
  const file = join(tempDir(t), 'hello.ts')
  writeFileSync(file, 'export const handler = (): string => "hi"\n')
  const port = await freePort()
  const run = await Running.start(t, file, '--inspect', String(port))
  await run.hear('Ctrl-C stops it')
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as { type: string }[]
  t.is(target?.type, 'node')
  t.is(await run.ask('/hello'), 'hi')
})

test('run --inspect-wait does not load the handler before a debugger has come', async (t) => {
  const file = join(tempDir(t), 'hello.js')
  writeFileSync(file, 'export const handler = () => "hi"\n')
  const port = await freePort()
  const run = await Running.start(t, file, '--inspect-wait', String(port))
  await run.hear('it waits for you')
  const target = await inspectorTarget(port)
  const socket = new WebSocket(target)
  await once(socket, 'open')
  socket.send(JSON.stringify({ id: 1, method: 'Runtime.runIfWaitingForDebugger' }))
  await run.hear('Ctrl-C stops it')
  t.is(await run.ask('/hello'), 'hi')
  socket.close()
})

python('breakpoint() of a Python handler opens pdb at the port, and the handler goes on when pdb is left', async (t) => {
  const file = join(tempDir(t), 'hello.py')
  writeFileSync(file, 'def handler(context, event):\n    answer = 41\n    breakpoint()\n    return str(answer)\n')
  const port = await freePort()
  const run = await Running.start(t, file, '--inspect', String(port))
  await run.hear('Ctrl-C stops it')
  const answer = run.ask('/hello')
  await run.hear(`nc 127.0.0.1 ${port}`)
  const pdb = connect(port, '127.0.0.1')
  let said = ''
  pdb.on('data', (chunk: Buffer) => (said += chunk.toString()))
  pdb.write('p answer + 1\nc\n')
  await once(pdb, 'close')
  t.regex(said, /\(pdb\) 42/)
  t.is(await answer, '41')
})

test('run --inspect of a shell script exits with 1 and names the runtimes that have a debugger', async (t) => {
  const file = join(tempDir(t), 'hello.sh')
  writeFileSync(file, '#!/bin/sh\ncat\n')
  const { code, err } = await endOf(startDunlin(['run', file, '--inspect']))
  t.is(code, 1)
  t.regex(err, /no debugger for runtime shell[\s\S]*nodejs, python, java/)
})

/** The child opens its inspector some time after it was started. */
async function inspectorTarget(port: number): Promise<string> {
  for (;;) {
    try {
      const [target] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as { webSocketDebuggerUrl: string }[]
      if (target) return target.webSocketDebuggerUrl
    } catch {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}
