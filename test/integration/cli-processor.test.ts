/** `dunlin processor`: Nuclio's processor.yaml, alone. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { openFunctionSource } from '../../agent/source/function-source.ts'
import { parseFunctionConfig } from '../../config/function-config.ts'
import { dunlin, endOf, saying, startDunlin } from '../support/cli.ts'
import { freePort } from '../support/free-port.ts'
import { needs } from '../support/packages.ts'
import { tempDir } from '../support/temp-dir.ts'

const python = needs(test, 'python3')

/** As Nuclio writes it into its containers. */
const PROCESSOR = `
metadata:
  name: reverser
  namespace: nuclio
  labels: { nuclio.io/project-name: default }
spec:
  handler: reverser:handler
  runtime: python:3.9
  resources: { requests: { cpu: 25m, memory: 1Mi } }
  minReplicas: 1
  maxReplicas: 1
  targetCPU: 75
  triggers:
    default-http:
      class: ""
      kind: http
      name: default-http
      maxWorkers: 1
      workerAvailabilityTimeoutMilliseconds: 10000
      attributes: { serviceType: ClusterIP }
  build: { path: code, codeEntryType: sourceCode }
  platform: {}
  eventTimeout: ""
  imagePullPolicy: Always
status: {}
`

function written(t: ExecutionContext, config: string): string {
  const folder = tempDir(t)
  mkdirSync(join(folder, 'code'))
  writeFileSync(
    join(folder, 'code', 'reverser.py'),
    'def handler(context, event):\n    return event.path + " " + event.body.decode()[::-1]\n',
  )
  writeFileSync(join(folder, 'processor.yaml'), config)
  return join(folder, 'processor.yaml')
}

python('processor serves its function at every path until it is told to stop', async (t) => {
  const config = written(t, PROCESSOR)
  const port = await freePort()
  const dataDir = tempDir(t)
  const args = ['--config', config, '--platform-config', '/etc/platform.yaml', '--listen', `127.0.0.1:${port}`, '--data-dir', dataDir]
  const child = startDunlin(['processor', ...args])
  const ended = endOf(child)
  await saying(child, 'Ctrl-C stops it')
  const answer = await fetch(`http://127.0.0.1:${port}/any/path`, { method: 'POST', body: 'abc' })
  t.is(await answer.text(), '/any/path cba')
  child.kill('SIGTERM')
  const { code, out, err } = await ended
  t.is(code, 0)
  t.true(out.includes(`curl -d 'hello' http://127.0.0.1:${port}/`), out)
  for (const said of [
    '--platform-config /etc/platform.yaml has no effect',
    'spec.minReplicas has no effect',
    'metadata.namespace has no effect',
  ])
    t.true(err.includes(said), err)
})

test('processor without a good config says what is wrong and where', async (t) => {
  const wrong = await dunlin(['processor', '--config', written(t, PROCESSOR.replace('runtime: python:3.9', 'runtime: cobol'))])
  t.is(wrong.code, 78)
  t.regex(wrong.err, /processor\.yaml:8:12 spec\.runtime: expected one of nodejs, python/)
  const away = await dunlin(['processor', '--config', written(t, PROCESSOR.replace('path: code', 'path: https://example.com/x.py'))])
  t.regex(away.err, /Cannot find the code[\s\S]*spec\.build\.path is "https:/)
  t.is((await dunlin(['processor'])).code, 2)
  const listed = await dunlin(['processor', '--list-runtimes'])
  t.deepEqual(listed.out.trim().split('\n'), ['nodejs', 'python', 'java', 'native', 'golang', 'shell'])
  t.regex((await dunlin(['processor', '--version'])).out, /^dunlin \d+\.\d+/)
})

test('processor.yaml with nothing but a runtime and code has a name, and an http trigger for every path', (t) => {
  const file = join(tempDir(t), 'processor.yaml')
  const code = Buffer.from('export const handler = () => 1').toString('base64')
  writeFileSync(file, `spec: { runtime: nodejs, build: { path: "https://example.com/x.js", functionSourceCode: ${code} } }\n`)
  const source = openFunctionSource(file)
  t.teardown(() => source.close())
  t.like(source.config, { name: 'processor', triggers: [{ kind: 'http', paths: ['/'] }] })
  t.is(readFileSync(join(source.folder, 'main.js'), 'utf8'), 'export const handler = () => 1')
  const written = parseFunctionConfig(readFileSync(join(source.folder, source.configName), 'utf8'), 'function.yaml')
  t.like(written, { name: 'processor', triggers: [{ kind: 'http' }] })
})
