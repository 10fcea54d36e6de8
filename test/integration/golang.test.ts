/** Nuclio's Go handlers as they are: built into a library through the shim, and run by the native host. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { built } from '../../agent/source/built-source.ts'
import { openFunctionSource } from '../../agent/source/function-source.ts'
import { buildGoLibrary, type Architecture } from '../../agent/source/golang-build.ts'
import { readBundle } from '../../agent/publisher/bundle.ts'
import { describeError } from '../../runtime/base/errors.ts'
import { bodyOf, headOf } from '../../runtime/event/event-writer.ts'
import { findItem, itemsOf } from '../../runtime/event/head.ts'
import { Tag } from '../../runtime/event/record.ts'
import { resultRecord } from '../../runtime/event/result-record.ts'
import { runtimes } from '../../runtime/workers/registry.ts'
import { DrivenWorker } from '../support/guests/driven-worker.ts'
import { needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const goTest = needs(test.serial, 'go', 'gcc')

/** One function for all tests: a build takes seconds. */
const HANDLER = `
package main

import (
	"errors"
	"fmt"
	"sync"

	"github.com/nuclio/nuclio-sdk-go"
)

type counter struct{ events int }

func InitContext(context *nuclio.Context) error {
	context.UserData = &counter{}
	context.Logger.DebugWith("Started", "function", context.FunctionName)
	if context.FunctionName == "refuses" {
		return errors.New("no sensor on this device")
	}
	return nil
}

func Handler(context *nuclio.Context, event nuclio.Event) (interface{}, error) {
	context.UserData.(*counter).events++
	switch string(event.GetBody()) {
	case "nil":
		return nil, nil
	case "string":
		return "täxt", nil
	case "bytes":
		return []byte{0, 1, 255}, nil
	case "struct":
		return struct {
			Celsius float64 \`json:"celsius"\`
		}{21.5}, nil
	case "map":
		return map[string]interface{}{"a": []int{1, 2}}, nil
	case "response":
		return nuclio.Response{StatusCode: 201, ContentType: "application/text", Headers: map[string]interface{}{"X-A": "1", "n": 2}, Body: []byte("Hello")}, nil
	case "pointer":
		return &nuclio.Response{Body: []byte("behind a pointer")}, nil
	case "stream":
		stream := nuclio.NewResponseStream("text/plain", nil, 202)
		go func() {
			for i := 0; i < 3; i++ {
				stream.SendChunk([]byte(fmt.Sprint(i)))
			}
			stream.StopStreaming()
		}()
		return stream, nil
	case "large":
		return make([]byte, 8<<20), nil
	case "error":
		return nil, errors.New("no luck")
	case "not-found":
		return nil, nuclio.NewErrNotFound("no such pump")
	case "wrapped":
		return nil, fmt.Errorf("around: %w", nuclio.WrapErrServiceUnavailable(errors.New("later")))
	case "value":
		return nil, nuclio.ErrTeapot
	case "panic":
		var nothing map[string]int
		nothing["a"] = 1
	case "fields":
		return fmt.Sprint(len(event.GetID()), event.GetTriggerInfo().GetKind(), event.GetTriggerInfo().GetName(), " ", event.GetPath(), event.GetMethod(), event.GetURL(),
			event.GetContentType(), event.GetTopic(), event.GetHeaderString("x-wert"), event.GetHeaders(), event.GetFieldString("q"), event.GetTimestamp().UnixMilli(),
			event.GetShardID(), context.WorkerID, context.TriggerKind), nil
	case "count":
		return fmt.Sprint(context.UserData.(*counter).events > 1), nil
	case "logs":
		context.Logger.Info("This is an unstructured %s", "log")
		context.Logger.WarnWith("hot", "celsius", 90, "err", errors.New("e"))
		context.Logger.GetChild("sub").Error("child")
		var all sync.WaitGroup
		for i := 0; i < 8; i++ {
			all.Add(1)
			go func() { defer all.Done(); context.Logger.Info("from a goroutine") }()
		}
		all.Wait()
	case "call":
		response, err := context.Platform.CallFunction("fibonacci", &nuclio.MemoryEvent{Body: []byte("17"), Path: "/p", Headers: map[string]interface{}{"h": "v"}})
		if err != nil {
			return nil, err
		}
		return fmt.Sprint(response.StatusCode, " ", string(response.Body), " ", response.ContentType, response.Headers), nil
	case "state":
		before, isThere, err := context.StateGet("n")
		if err != nil {
			return nil, err
		}
		if err := context.StateSet("n", append(before, 'x')); err != nil {
			return nil, err
		}
		if err := context.Emit("readings", []byte("21.5")); err != nil {
			return nil, err
		}
		return fmt.Sprint(isThere, string(before)), context.Publish("out/a", []byte("on"), 1, true)
	}
	return event.GetBody(), nil
}
`

const SPEC = (name: string, more = ''): string => `
apiVersion: "nuclio.io/v1beta1"
kind: "NuclioFunction"
metadata: { name: ${name} }
spec:
  description: Showcases unstructured logging and a structured response.
  runtime: "golang"
  minReplicas: 1
  handler: main:Handler
  loggerSinks: [{ level: debug }]
${more}`

const WEB = '  triggers: { web: { kind: http, attributes: { paths: [/f] } } }'

function folderOf(t: ExecutionContext, files: Record<string, string>): string {
  const folder = path.join(tempDir(t), 'function')
  mkdirSync(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text)
  return folder
}

async function start(t: ExecutionContext, name = 'hello'): Promise<DrivenWorker> {
  const source = await built(openFunctionSource(folderOf(t, { 'function.yaml': SPEC(name), 'hello.go': HANDLER })))
  t.teardown(() => source.close())
  const { config } = source
  const driven = new DrivenWorker({ config, version: '7', directory: source.folder }, await runtimes[config.runtime]())
  t.teardown(() => driven.worker.stop(0))
  await driven.worker.start()
  return driven
}

goTest('go handler of Nuclio answers in every form', async (t) => {
  const go = await start(t)
  const form = async (name: string): Promise<unknown[]> => {
    const { status, contentType, text } = await go.call(name)
    return [status, contentType, text]
  }
  t.deepEqual(await form('nil'), [200, undefined, ''])
  t.deepEqual(await form('string'), [200, 'text/plain', 'täxt'])
  t.deepEqual((await go.call('bytes')).body, Buffer.of(0, 1, 255))
  t.deepEqual(await form('struct'), [200, 'application/json', '{"celsius":21.5}'])
  t.deepEqual(await form('map'), [200, 'application/json', '{"a":[1,2]}'])
  t.deepEqual(await form('response'), [201, 'application/text', 'Hello'])
  t.deepEqual((await go.call('response')).headers, { 'X-A': '1', n: '2' })
  t.deepEqual(await form('pointer'), [200, undefined, 'behind a pointer'])
  t.is((await go.call('large')).body.length, 8 << 20)
  const echoed = Buffer.alloc(2 << 20, 7)
  t.true((await go.call(echoed)).body.equals(echoed))
  t.is((await go.call('count')).text, 'true')
})

goTest('go handler that fails answers with the status of its error, and one that panics with its stack', async (t) => {
  const go = await start(t)
  const failure = async (name: string): Promise<unknown[]> => {
    const { status, error, text } = await go.call(name)
    return [status, error, text]
  }
  t.deepEqual(await failure('error'), [500, 'no luck', ''])
  t.deepEqual(await failure('not-found'), [404, undefined, 'no such pump'])
  t.deepEqual(await failure('wrapped'), [503, 'around: later', ''])
  t.deepEqual(await failure('value'), [418, undefined, "I'm a teapot"])
  const panicked = await go.call('panic')
  t.is(panicked.error, 'Caught panic: assignment to entry in nil map')
  t.regex(panicked.stack ?? '', /hello\.go/)
  t.is((await go.call('string')).status, 200)
})

goTest('go event has the fields of the record, and context what is around it', async (t) => {
  const go = await start(t)
  const { text } = await go.call('fields', {
    head: [
      [Tag.path, '/p', ''],
      [Tag.method, 'PUT', ''],
      [Tag.url, '/p?q=ü', ''],
      [Tag.contentType, 'text/x', ''],
      [Tag.topic, 'a/b', ''],
      [Tag.header, 'ja', 'X-Wert'],
      [Tag.field, 'ü', 'q'],
    ],
  })
  t.is(text, '36mqttsensors /pPUT/p?q=ütext/xa/bjamap[X-Wert:ja]ü1700000000123 -1 3mqtt')
})

goTest('go logger, state, emit, publish and CallFunction reach the agent, from goroutines too', async (t) => {
  const go = await start(t)
  go.onCall = (name, record) =>
    resultRecord({
      status: 203,
      contentType: undefined,
      headers: { a: 'b' },
      body: Buffer.from(
        `${name} ${bodyOf(record).toString()} ${findItem(headOf(record), Tag.path)} ${itemsOf(headOf(record), Tag.header)['h']}`,
      ),
      error: undefined,
    })
  t.is((await go.call('call')).text, '203 fibonacci 17 /p v text/plainmap[a:b]')
  t.is((await go.call('state')).text, 'false')
  const { text, operations } = await go.call('state')
  t.is(text, 'truex')
  t.deepEqual(
    operations.map(({ name, body }) => [name, body.toString()]),
    [
      ['n', '\0xx'],
      ['readings', '21.5'],
      ['out/a', 'on'],
    ],
  )
  await go.call('logs')
  const line = (message: string): unknown => go.logs.find((log) => log.message === message)
  t.deepEqual(line('Started'), { level: 10, message: 'Started', fields: '{"function":"hello"}' })
  t.deepEqual(line('This is an unstructured log'), { level: 20, message: 'This is an unstructured log', fields: '' })
  t.deepEqual(line('hot'), { level: 30, message: 'hot', fields: '{"celsius":90,"err":"e"}' })
  t.deepEqual(line('child'), { level: 40, message: 'child', fields: '{"logger":"sub"}' })
  t.is(go.lines.filter((each) => each === 'from a goroutine').length, 8)
})

goTest('go handler streams its answer to an HTTP caller', async (t) => {
  const source = await built(openFunctionSource(folderOf(t, { 'function.yaml': SPEC('hello', WEB), 'hello.go': HANDLER })))
  t.teardown(() => source.close())
  const rig = await ProcessorRig.open(tempDir(t))
  try {
    await rig.processor.activate({ config: source.config, version: '1', directory: source.folder })
    const { host, port } = rig.http.address!
    const answer = await fetch(`http://${host}:${port}/f`, { method: 'POST', body: 'stream' })
    t.deepEqual([answer.status, answer.headers.get('content-type'), await answer.text()], [202, 'text/plain', '012'])
  } finally {
    await rig.close()
  }
})

goTest('go InitContext that returns an error keeps the worker from starting, and says why', async (t) => {
  await t.throwsAsync(start(t, 'refuses'), { code: 'init-failed', message: 'no sensor on this device' })
})

goTest('go function goes to a device as a library for its kind, without its sources', async (t) => {
  const source = await built(openFunctionSource(folderOf(t, { 'function.yaml': SPEC('hello'), 'hello.go': HANDLER, 'table.csv': '1,2' })))
  t.teardown(() => source.close())
  const { manifest } = readBundle(source.folder, { name: 'hello', version: 1 })
  t.deepEqual(
    manifest.files.map((file) => file.path),
    ['function.yaml', 'table.csv', `${process.arch}/libhandler.so`],
  )
  t.is(source.config.runtime, 'native')
  t.regex(readFileSync(path.join(source.folder, 'function.yaml'), 'utf8'), /handler: libhandler\.so/)
})

test('go source on a device does not start, and says what to do', async (t) => {
  const rig = await ProcessorRig.open(tempDir(t))
  try {
    const error = await t.throwsAsync(rig.processor.activate(rig.version(SPEC('hello', WEB), { 'hello.go': HANDLER })))
    t.regex(describeError(error), /Cannot run Go source on a device[\s\S]*dunlin deploy/)
  } finally {
    await rig.close()
  }
})

goTest('go source that does not compile, has no Handler, or meets no Go, is told so', async (t) => {
  const build = (text: string) => built(openFunctionSource(folderOf(t, { 'function.yaml': SPEC('hello'), 'hello.go': text })))
  await t.throwsAsync(build('package main\nfunc Handler() {\n'), { code: 'golang-build', message: /hello\.go:3/ })
  await t.throwsAsync(build('package main\nfunc Other() {}\n'), {
    code: 'golang-handler',
    message: /Cannot find func Handler in hello\.go/,
  })
  await t.throwsAsync(build('package pump\nfunc Handler() {}\n'), { code: 'golang-package' })
  process.env['DUNLIN_GO'] = '/nowhere/go'
  t.teardown(() => delete process.env['DUNLIN_GO'])
  const error = await t.throwsAsync(build(HANDLER), { code: 'golang-missing' })
  t.regex(String((error as { hint?: string }).hint), /golang-go/)
})

goTest('go builds are kept, found again, and not more than the newest 32 of them', async (t) => {
  const cache = tempDir(t)
  const { XDG_CACHE_HOME, GOCACHE } = process.env
  process.env['GOCACHE'] = execFileSync('go', ['env', 'GOCACHE'], { encoding: 'utf8' }).trim()
  process.env['XDG_CACHE_HOME'] = cache
  t.teardown(() => {
    for (const [name, value] of Object.entries({ XDG_CACHE_HOME, GOCACHE })) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })
  const kept = path.join(cache, 'dunlin/golang')
  for (let i = 0; i < 40; i++) mkdirSync(path.join(kept, `old-${i}`), { recursive: true })
  const folder = folderOf(t, { 'hello.go': HANDLER })
  const first = await buildGoLibrary(folder, 'main:Handler', process.arch as Architecture)
  t.true(readdirSync(kept).length <= 32)
  const { ino } = statSync(first)
  t.is(await buildGoLibrary(folder, 'main:Handler', process.arch as Architecture), first)
  t.is(statSync(first).ino, ino)
})

test('a single .go file is a function', (t) => {
  const file = path.join(folderOf(t, { 'hello.go': HANDLER }), 'hello.go')
  const source = openFunctionSource(file)
  t.teardown(() => source.close())
  t.deepEqual([source.config.name, source.config.runtime, source.config.handler], ['hello', 'golang', 'main:Handler'])
  t.true(existsSync(path.join(source.folder, 'hello.go')))
})
