/**
 * Functions as Nuclio's users have them, without an edit: its function.yaml with all that Kubernetes wants, its comment blocks, its
 * handlers in each language. Written for this test, in the forms that Nuclio documents.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { built } from '../../agent/source/built-source.ts'
import { openFunctionSource } from '../../agent/source/function-source.ts'
import type { FunctionConfig } from '../../config/function-config.ts'
import { needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

/** What `nuctl export` and the dashboard write around a function. */
const exported = (name: string, runtime: string, handler: string, more = '') => `
apiVersion: nuclio.io/v1
kind: NuclioFunction
metadata:
  name: ${name}
  namespace: nuclio
  labels: { nuclio.io/project-name: default }
  annotations: { skip-build: "false" }
spec:
  description: ""
  handler: ${handler}
  runtime: ${runtime}
  alias: latest
  version: -1
  env:
    - { name: GREETING, value: hello }
  resources:
    requests: { cpu: 25m, memory: 1Mi }
    limits: { cpu: "2", memory: 512Mi }
  image: registry.example/processor-${name}:latest
  imageHash: "1637158800"
  imagePullPolicy: IfNotPresent
  replicas: 1
  minReplicas: 1
  maxReplicas: 4
  targetCPU: 75
  triggers:
    api:
      class: ""
      kind: http
      name: api
      maxWorkers: 1
      workerAvailabilityTimeoutMilliseconds: 10000
      annotations: {}
      attributes:
        serviceType: ClusterIP
        ingresses:
          "0": { host: functions.example, paths: [/${name}] }
  volumes:
    - volume: { name: data, hostPath: { path: /data } }
      volumeMount: { name: data, mountPath: /data }
  build:
    registry: registry.example
    noCache: true
    codeEntryType: sourceCode
    baseImage: python:3.9-slim
    commands: [pip install numpy]
    timestamp: 1637158800
  platform: { attributes: { restartPolicy: { name: always, maximumRetryCount: 3 } } }
  readinessTimeoutSeconds: 120
  nodeSelector: {}
  tolerations: []
  affinity: {}
  securityContext: { runAsUser: 1000 }
  serviceType: NodePort
  scaleToZero: { scaleResources: [{ metricName: nuclio_processor_handled_events_total, windowSize: 10m, threshold: 0 }] }
  loggerSinks: [{ level: debug }]
  eventTimeout: ""
${more}
status: { state: ready, httpPort: 32768 }
`

interface Served {
  readonly config: FunctionConfig
  readonly rig: ProcessorRig
  readonly ask: (path: string, options?: RequestInit) => Promise<Response>
}

/** The folder (or the one file of it) as `dunlin run` and `dunlin deploy` take it. */
async function served(t: ExecutionContext, files: Readonly<Record<string, string>>, only?: string): Promise<Served> {
  const folder = tempDir(t)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const source = await built(openFunctionSource(only === undefined ? folder : join(folder, only)))
  const rig = await ProcessorRig.open(tempDir(t))
  t.teardown(async () => {
    await rig.close()
    source.close()
  })
  await rig.processor.activate({ config: source.config, version: '1', directory: source.folder })
  const { host, port } = rig.http.address!
  return { config: source.config, rig, ask: (path, options) => fetch(`http://${host}:${port}${path}`, options) }
}

const json = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

needs(test, 'python3')('Python function of Nuclio runs with its exported function.yaml', async (t) => {
  const handler = `
import datetime, os
import nuclio_sdk
from nuclio_sdk.response import Response as SameResponse

def init_context(context):
    setattr(context.user_data, 'greeting', os.environ['GREETING'])
    context.logger.info_with('Initialized', worker=context.worker_id, trigger=context.trigger.kind)

def handler(context, event):
    if event.path == '/python/raise':
        raise RuntimeError('on purpose')
    if event.path == '/python/tuple':
        return 418, 'teapot'
    if event.path == '/python/dict':
        return {'given': event.body, 'header': event.get_header('x-given'), 'trigger': event.trigger.kind, 'field': event.fields['q']}
    context.logger.debug_with('Got event', id=event.id, method=event.method)
    age = datetime.datetime.utcnow() - event.timestamp
    assert datetime.timedelta(0) <= age < datetime.timedelta(minutes=5) and event.timestamp < datetime.datetime.utcnow()
    assert isinstance(event, nuclio_sdk.Event) and SameResponse is nuclio_sdk.Response is context.Response
    return context.Response(body=context.user_data.greeting + ' ' + event.body.decode('utf-8'),
                            headers={'X-Made-By': 'nuclio'}, content_type='text/plain', status_code=201)
`
  const { ask, config, rig } = await served(t, { 'function.yaml': exported('python', '"python:3.9"', 'main:handler'), 'main.py': handler })
  const answer = await ask('/python', { method: 'POST', body: 'world' })
  t.deepEqual([answer.status, await answer.text(), answer.headers.get('x-made-by')], [201, 'hello world', 'nuclio'])
  const dict = await ask('/python/dict?q=1', { ...json({ a: 1 }), headers: { 'content-type': 'application/json', 'X-Given': 'yes' } })
  t.deepEqual(await dict.json(), { given: { a: 1 }, header: 'yes', trigger: 'http', field: '1' })
  t.is((await ask('/python/tuple')).status, 418)
  t.is((await ask('/python/raise')).status, 500)
  const initialized = rig.logs.find(({ message }) => message === 'Initialized')
  t.deepEqual(JSON.parse(initialized!.fields), { worker: 0, trigger: 'http' })
  t.true(rig.logs.some(({ message }) => message === 'Got event'))
  for (const field of [
    'spec.image',
    'spec.minReplicas',
    'spec.build.commands',
    'spec.securityContext',
    'spec.triggers.api.attributes.ingresses',
  ]) {
    t.is(config.notices.filter((notice) => notice.includes(` ${field} has no effect here: `)).length, 1, field)
  }
})

needs(test, 'python3')('Python function of Nuclio acknowledges explicitly, and calls another function', async (t) => {
  const handler = `
import asyncio, json
import nuclio_sdk

async def handler(context, event):
    answer = await context.platform.call_function('other', nuclio_sdk.Event(body={'n': json.loads(event.body)['n']}, path='/'))
    assert answer.status_code == 200 and answer.headers is not None
    offset = nuclio_sdk.QualifiedOffset.from_event(event)
    response = nuclio_sdk.Response()
    response.ensure_no_ack()
    asyncio.get_running_loop().create_task(later(context, offset))
    context.emit('out', answer.body)
    return response

async def later(context, offset):
    await asyncio.sleep(0)
    await context.platform.explicit_ack(offset)
`
  const more = `    stream:
      kind: mqtt
      explicitAckMode: enable
      workerAllocatorName: shared
      attributes: { subscriptions: [{ topic: "in/#", qos: 1 }] }`
  const yaml = exported('acks', 'python', 'main:handler').replace('  volumes:\n', `${more}\n  volumes:\n`)
  const { rig } = await served(t, { 'function.yaml': yaml, 'main.py': handler })
  const other = rig.version('metadata: { name: other }\nspec: { runtime: python, handler: main:handler }', {
    'main.py': 'def handler(context, event):\n    return {"twice": 2 * event.body["n"]}\n',
  })
  await rig.processor.activate(other)
  await rig.publish('in/a', '{"n": 21}')
  await rig.until(async () => (await rig.rows('out')).length === 1)
  t.deepEqual(
    (await rig.rows('out')).map((row) => JSON.parse(row)),
    [{ twice: 42 }],
  )
  await rig.until(async () => (await rig.store.ledger()).sources.every(({ waiting, balanced }) => waiting === 0 && balanced))
})

test('Node.js function of Nuclio runs with its exported function.yaml', async (t) => {
  const handler = `
exports.initContext = function (context) {
  context.userData.greeting = process.env.GREETING
}

exports.handler = function (context, event) {
  switch (event.path) {
    case '/node/response':
      // body, headers, content type, status code
      context.callback(new context.Response(event.body.toString(), { 'X-Made-By': 'nuclio' }, 'text/html', 201))
      break
    case '/node/parsed':
      // A Buffer in Nuclio, whatever the content type.
      context.callback({ twice: 2 * JSON.parse(event.body.toString()).n, same: JSON.parse(event.body).n })
      break
    case '/node/list':
      context.callback([404, 'nothing here'])
      break
    case '/node/options':
      return context.callback(new context.Response({ body: 'named', headers: { 'x-a': 'b' } }))
    case '/node/throw':
      throw new Error('on purpose')
    default:
      context.logger.infoWith('Called', { id: event.id, kind: event.trigger.kind })
      setTimeout(answer, 1, context, event)
  }
}

function answer(context, event) {
  context.callback(context.userData.greeting + ' ' + event.body + ' ' + event['content-type'] + ' ' + (event.timestamp instanceof Date))
}
`
  const { ask, rig } = await served(t, { 'function.yaml': exported('node', 'nodejs', 'handler:handler'), 'handler.js': handler })
  const answer = await ask('/node', { method: 'POST', body: 'world', headers: { 'content-type': 'text/plain' } })
  t.is(await answer.text(), 'hello world text/plain true')
  const response = await ask('/node/response', { method: 'POST', body: '<p>' })
  t.deepEqual(
    [response.status, await response.text(), response.headers.get('x-made-by'), response.headers.get('content-type')],
    [201, '<p>', 'nuclio', 'text/html'],
  )
  t.deepEqual(await (await ask('/node/parsed', json({ n: 4 }))).json(), { twice: 8, same: 4 })
  t.is((await ask('/node/list')).status, 404)
  const options = await ask('/node/options')
  t.deepEqual([await options.text(), options.headers.get('x-a')], ['named', 'b'])
  t.is((await ask('/node/throw')).status, 500)
  t.true(rig.logs.some(({ message, fields }) => message === 'Called' && fields.includes('"kind":"http"')))
})

test("Nuclio's own example of a shell script runs from one file", async (t) => {
  const script = `#!/bin/sh

# @nuclio.configure
#
# function.yaml:
#   apiVersion: "nuclio.io/v1"
#   kind: "NuclioFunction"
#   spec:
#     runtime: "shell"
#     handler: "reverser.sh"
#     runtimeAttributes:
#       arguments: first second
#       responseHeaders: { content-type: text/csv, x-made-by: nuclio }
#

rev /dev/stdin
printf '%s|%s|%s' "$2" "$NUCLIO_EVENT_METHOD" "$NUCLIO_EVENT_HEADER_X_GIVEN"
`
  const { ask } = await served(t, { 'reverser.sh': script }, 'reverser.sh')
  const answer = await ask('/reverser', { method: 'POST', body: 'reverse-me\n', headers: { 'x-given': '$(id)' } })
  t.deepEqual(
    [await answer.text(), answer.headers.get('content-type'), answer.headers.get('x-made-by')],
    ['em-esrever\nsecond|POST|$(id)', 'text/csv', 'nuclio'],
  )
})

needs(test, 'go')('Go function of Nuclio runs with its comment block', async (t) => {
  const handler = `// @nuclio.configure
//
// function.yaml:
//   apiVersion: "nuclio.io/v1"
//   kind: "NuclioFunction"
//   spec:
//     runtime: "golang"
//     handler: main:Reverse
//     triggers:
//       http: { kind: http, maxWorkers: 1 }

package main

import (
	"github.com/nuclio/nuclio-sdk-go"
)

func InitContext(context *nuclio.Context) error {
	context.UserData = "hello "
	return nil
}

func Reverse(context *nuclio.Context, event nuclio.Event) (interface{}, error) {
	if event.GetPath() == "/greeter/away" {
		return nil, nuclio.NewErrNotFound("away")
	}
	context.Logger.InfoWith("Called", "method", event.GetMethod())
	return nuclio.Response{
		StatusCode:  201,
		ContentType: "text/plain",
		Headers:     map[string]interface{}{"X-Made-By": "nuclio"},
		Body:        []byte(context.UserData.(string) + string(event.GetBody()) + event.GetHeaderString("X-Given")),
	}, nil
}
`
  const { ask } = await served(t, { 'greeter.go': handler }, 'greeter.go')
  const answer = await ask('/greeter', { method: 'POST', body: 'world', headers: { 'X-Given': '!' } })
  t.deepEqual([answer.status, await answer.text(), answer.headers.get('x-made-by')], [201, 'hello world!', 'nuclio'])
  t.is((await ask('/greeter/away')).status, 404)
})

needs(
  test,
  'java',
  'javac',
)('Java function of Nuclio runs with its exported function.yaml', async (t) => {
  const handler = `
import io.nuclio.Context;
import io.nuclio.Event;
import io.nuclio.EventHandler;
import io.nuclio.Response;

public class Reverser implements EventHandler {
    @Override
    public Response handleEvent(Context context, Event event) {
        context.getLogger().infoWith("Called", "method", event.getMethod());
        String reversed = new StringBuilder(new String(event.getBody())).reverse().toString();
        return new Response().setBody(reversed).setStatusCode(201).setContentType("text/plain");
    }
}
`
  const { ask } = await served(t, { 'function.yaml': exported('java', 'java', 'Reverser'), 'Reverser.java': handler })
  const answer = await ask('/java', { method: 'POST', body: 'abc' })
  t.deepEqual([answer.status, await answer.text()], [201, 'cba'])
})
