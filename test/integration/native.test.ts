/** What is special about native libraries; what every guest does alike is in test/conformance. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { built } from '../../agent/source/built-source.ts'
import { openFunctionSource } from '../../agent/source/function-source.ts'
import { parseFunctionConfig } from '../../config/function-config.ts'
import { Kind } from '../../runtime/event/record.ts'
import { nativeRuntime } from '../../runtime/workers/native/native-runtime.ts'
import { DrivenWorker } from '../support/guests/driven-worker.ts'
import { buildLibrary, HEADER_FOLDER } from '../support/native-library.ts'
import { needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const nativeTest = needs(test.serial, 'gcc')

const HEAD = '#include <dunlin.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <time.h>\nDUNLIN_DEFINE_ABI\n'
const HANDLE = 'DUNLIN_EXPORT int32_t dunlin_handle(dunlin_context *context, const dunlin_event *event)'
const PLAIN = `${HEAD}${HANDLE} { dunlin_span body = dunlin_body(event); return dunlin_respond(context, event, 200, body.data, body.length); }`

type Options = Partial<{ memoryLimit: string; stateExclusive: boolean }>

/** A worker whose library is made of `source`, at `file` in the function's folder. */
function make(
  t: ExecutionContext,
  source: string,
  handler = 'libf.so',
  file = 'libf.so',
  { memoryLimit = '', ...options }: Options = {},
): DrivenWorker {
  const directory = tempDir(t)
  const target = path.join(directory, file)
  mkdirSync(path.dirname(target), { recursive: true })
  writeFileSync(path.join(directory, 'f.c'), source)
  buildLibrary(path.join(directory, 'f.c'), target)
  return at(t, directory, handler, { memoryLimit, ...options })
}

function at(t: ExecutionContext, directory: string, handler: string, { memoryLimit = '', ...options }: Options = {}): DrivenWorker {
  const config = parseFunctionConfig(
    `metadata: { name: f }\nspec: { runtime: native, handler: "${handler}", ${memoryLimit} }`,
    'function.yaml',
  )
  const driven = new DrivenWorker({ config, version: '1', directory }, nativeRuntime, options)
  t.teardown(() => driven.worker.stop(0))
  return driven
}

async function failsToStart(t: ExecutionContext, driven: DrivenWorker, expected: RegExp): Promise<void> {
  const error = await t.throwsAsync(driven.worker.start(), { code: 'init-failed' })
  t.regex(error.message, expected)
}

/** Gives all of them, as fast as the worker takes them: the ring is full most of the time. */
async function echoAll(t: ExecutionContext, driven: DrivenWorker, bodies: readonly Buffer[]): Promise<void> {
  const answers: Promise<unknown>[] = []
  for (const body of bodies) {
    let answer: ReturnType<DrivenWorker['post']> | undefined
    while (!answer) {
      try {
        answer = driven.post(body)
      } catch {
        driven.worker.flush()
        await Promise.all(answers.splice(0))
      }
    }
    answers.push(answer.then((handled) => t.true(handled.body.equals(body))))
  }
  driven.worker.flush()
  await Promise.all(answers)
}

nativeTest('native handler may be named, and lie in a folder for the kind of device', async (t) => {
  const named = make(t, PLAIN.replace('dunlin_handle', 'on_pressure'), 'libf.so:on_pressure')
  await named.worker.start()
  t.is((await named.call('x')).text, 'x')
  const sorted = make(t, PLAIN, 'libf.so', `${process.arch}/libf.so`)
  await sorted.worker.start()
  t.is((await sorted.call('y')).text, 'y')
})

nativeTest('native library that is missing, foreign, or no library is refused with what to do', async (t) => {
  await failsToStart(t, at(t, tempDir(t), 'libf.so'), /Cannot find library .*libf\.so \(build it first/)
  await failsToStart(t, at(t, tempDir(t), '../libf.so'), /outside of the function's folder/)
  const folder = tempDir(t)
  writeFileSync(path.join(folder, 'libtext.so'), 'GROUP ( libc.so.6 ) and more than twenty bytes')
  await failsToStart(t, at(t, folder, 'libtext.so'), /it is no ELF file/)
  const elf = readFileSync(process.execPath).subarray(0, 4096)
  elf.writeUInt16LE(process.arch === 'arm64' ? 62 : 183, 18)
  writeFileSync(path.join(folder, 'libforeign.so'), elf)
  await failsToStart(t, at(t, folder, 'libforeign.so'), /it is built for (arm64|x64), this device is (x64|arm64) \(build it for/)
  mkdirSync(path.join(folder, 'arm'), { recursive: true })
  writeFileSync(path.join(folder, 'f.c'), `${HEAD}extern int absent(void);\n${HANDLE} { (void)context; (void)event; return absent(); }`)
  buildLibrary(path.join(folder, 'f.c'), path.join(folder, 'libf.so'))
  await failsToStart(t, at(t, folder, 'libf.so'), /undefined symbol: absent/)
})

test('a native function whose library is not built yet is not deployed', async (t) => {
  const folder = tempDir(t)
  writeFileSync(path.join(folder, 'function.yaml'), 'metadata: { name: f }\nspec: { runtime: native, handler: "libf.so:on_event" }')
  await t.throwsAsync(built(openFunctionSource(folder)), { code: 'library-missing', message: /Cannot find libf\.so/ })
  mkdirSync(path.join(folder, 'arm64'))
  writeFileSync(path.join(folder, 'arm64', 'libf.so'), '')
  t.is((await built(openFunctionSource(folder))).folder, folder)
})

nativeTest('native library without the symbols, or of another ABI, is refused', async (t) => {
  await failsToStart(
    t,
    make(t, `#include <dunlin.h>\n${HANDLE} { (void)context; (void)event; return 0; }`),
    /it does not export dunlin_abi \(write DUNLIN_DEFINE_ABI/,
  )
  await failsToStart(t, make(t, HEAD), /it does not export dunlin_handle \(export dunlin_handle: is it static/)
  await failsToStart(
    t,
    make(t, `#include <dunlin.h>\nDUNLIN_EXPORT uint32_t dunlin_abi(void) { return 2; }`),
    /it is built for ABI 2, this agent has 1 \(update the agent\)/,
  )
  await failsToStart(
    t,
    make(t, `${PLAIN}\nDUNLIN_EXPORT int32_t dunlin_init_context(dunlin_context *context) { (void)context; return 7; }`),
    /dunlin_init_context returned 7/,
  )
})

nativeTest('native handler that returns is answered for: 0 is 200, anything else has failed', async (t) => {
  const driven = make(t, `${HEAD}${HANDLE} { (void)context; return atoi(dunlin_body(event).data); }`)
  await driven.worker.start()
  t.is((await driven.call('0\0')).status, 200)
  const failed = await driven.call('-3\0')
  t.deepEqual([failed.status, failed.error], [500, 'dunlin_handle returned -3'])
})

nativeTest('native library that answers twice, or sends something after its answer, is told and goes on', async (t) => {
  const driven = make(
    t,
    `${HEAD}static dunlin_event old;
${HANDLE} {
  dunlin_respond(context, event, 201, "a", 1);
  dunlin_respond(context, event, 500, "b", 1);
  dunlin_emit(context, event, DUNLIN_TEXT("late"), "c", 1);
  if (old.ticket != 0) dunlin_state_set(context, &old, DUNLIN_TEXT("k"), "d", 1);
  old = *event;
  return 0;
}`,
  )
  await driven.worker.start()
  for (let i = 0; i < 2; i++) {
    const { status, text, operations } = await driven.call('')
    t.deepEqual([status, text, operations], [201, 'a', []])
  }
  t.is(driven.lines.filter((line) => /answers an event .* it is dropped/.test(line)).length, 2)
  t.is(driven.lines.filter((line) => /sends something for an event .* it is dropped/.test(line)).length, 3)
})

nativeTest('native library has an answer, a head and a state that are too large refused, and the event fails', async (t) => {
  const driven = make(
    t,
    `${HEAD}${HANDLE} {
  char *large = calloc(1, (64 << 20) + 1);
  int32_t body = dunlin_respond(context, event, 200, large, (64 << 20) + 1);
  int32_t key = dunlin_emit(context, event, dunlin_span_of(large, 65536), "", 0);
  int32_t state = dunlin_state_set(context, event, DUNLIN_TEXT("k"), large, 64 << 20);
  free(large);
  return body == DUNLIN_E_TOO_LARGE && key == DUNLIN_E_TOO_LARGE && state == DUNLIN_E_TOO_LARGE ? 42 : 0;
}`,
  )
  await driven.worker.start()
  t.is((await driven.call('')).error, 'dunlin_handle returned 42')
})

nativeTest('native library that sends more than its buffer holds sends it in parts, in order', async (t) => {
  const driven = make(
    t,
    `${HEAD}${HANDLE} {
  static char body[20000];
  int i;
  for (i = 0; i < 500; i++) {
    snprintf(body, sizeof body, "%d", i);
    if (dunlin_emit(context, event, DUNLIN_TEXT("out"), body, sizeof body) != 0) return 1;
  }
  return 0;
}`,
  )
  await driven.worker.start()
  const { operations } = await driven.call('')
  t.deepEqual(
    operations.map(({ kind, body }) => [kind, body.length, Number.parseInt(body.toString('latin1', 0, 4), 10)]),
    Array.from({ length: 500 }, (_, i) => [Kind.emit, 20_000, i]),
  )
})

nativeTest('native library may ask for state while many events wait, and each keeps its own body', async (t) => {
  const driven = make(
    t,
    `${HEAD}${HANDLE} {
  dunlin_span value, body = dunlin_body(event);
  uint64_t before = 0;
  dunlin_state_read(context, event, DUNLIN_TEXT("n"), &before, sizeof before);
  (void)dunlin_state_get(context, event, DUNLIN_TEXT("other"), &value, NULL);
  before++;
  dunlin_state_set(context, event, DUNLIN_TEXT("n"), &before, sizeof before);
  return dunlin_respond(context, event, 200, body.data, body.length);
}`,
  )
  await driven.worker.start()
  await echoAll(
    t,
    driven,
    Array.from({ length: 300 }, (_, i) => Buffer.alloc(1 + ((i * 997) % 6000), i & 255)),
  )
  t.is(driven.state.get('n')!.readBigUInt64LE(1), 300n)
})

nativeTest('native host carries bodies of 64 MiB whatever little its library may take', async (t) => {
  const driven = make(t, PLAIN, 'libf.so', 'libf.so', { memoryLimit: 'runtimeAttributes: { memoryLimit: 1MiB }' })
  await driven.worker.start()
  for (let i = 0; i < 3; i++) {
    const body = Buffer.alloc(64 << 20, i)
    t.true((await driven.call(body)).body.equals(body))
  }
})

nativeTest('native host remembers what it has read of state that only it changes, each key for itself', async (t) => {
  const source = `${HEAD}${HANDLE} {
  dunlin_span value, key = dunlin_body(event);
  if (dunlin_state_get(context, event, key, &value, NULL) != 0) return 1;
  return dunlin_respond(context, event, 200, value.data, value.length);
}`
  const driven = make(t, source, 'libf.so', 'libf.so', { stateExclusive: true })
  await driven.worker.start()
  for (const key of ['a', 'b', 'c']) driven.state.set(key, Buffer.from(`\0value of ${key}`))
  for (const key of ['a', 'b', 'c', 'a', 'b', 'c']) t.is((await driven.call(key)).text, `value of ${key}`)
  t.deepEqual(driven.asked, ['a', 'b', 'c'])
})

nativeTest('native host needs no more memory for many large events than for one', async (t) => {
  const driven = make(t, PLAIN, 'libf.so', 'libf.so', { memoryLimit: 'runtimeAttributes: { memoryLimit: 1MiB }' })
  await driven.worker.start()
  await echoAll(
    t,
    driven,
    Array.from({ length: 3000 }, (_, i) => Buffer.alloc(64 << 10, i & 255)),
  )
})

/** A function in the processor, over the mqtt trigger `in`. */
async function withRig(t: ExecutionContext, source: string, trigger: string, run: (rig: ProcessorRig) => Promise<void>): Promise<void> {
  const directory = tempDir(t)
  writeFileSync(path.join(directory, 'f.c'), source)
  buildLibrary(path.join(directory, 'f.c'), path.join(directory, 'libf.so'))
  const config = parseFunctionConfig(
    `
metadata: { name: f }
spec:
  runtime: native
  handler: libf.so
  maxAttempts: 2
  retry: { first: 1ms, max: 1s }
  triggers:
    in: { kind: mqtt, ${trigger}, attributes: { subscriptions: [{ topic: 'in/#', qos: 1 }] } }
    web: { kind: http, attributes: { paths: [/f] } }`,
    'function.yaml',
  )
  const rig = await ProcessorRig.open(tempDir(t))
  try {
    await rig.processor.activate({ config, version: '1', directory })
    await run(rig)
  } finally {
    await rig.close()
  }
}

const BATCH = `${PLAIN}
DUNLIN_EXPORT int32_t dunlin_handle_batch(dunlin_context *context, const dunlin_event *const *events, size_t count) {
  char text[16];
  size_t i;
  for (i = 0; i < count; i++) {
    dunlin_span body = dunlin_body(events[i]);
    if (dunlin_equals(body, DUNLIN_TEXT("bad"))) {
      if (count > 1) return 5;
      return DUNLIN_FAIL(context, events[i], DUNLIN_TEXT("bad"));
    }
    dunlin_emit(context, events[i], DUNLIN_TEXT("out"), body.data, body.length);
  }
  dunlin_emit(context, events[0], DUNLIN_TEXT("sizes"), text, (size_t)snprintf(text, sizeof text, "%zu", count));
  return 0;
}`

nativeTest('native batch handler gets the events of a batch together, and each is answered', async (t) => {
  await withRig(t, BATCH, 'batch: { mode: enable, batchSize: 4, timeout: 5s }', async (rig) => {
    await Promise.all(Array.from({ length: 8 }, (_, i) => rig.publish('in/a', String(i))))
    await rig.until(async () => (await rig.rows('out')).length === 8)
    t.deepEqual(await rig.rows('out'), ['0', '1', '2', '3', '4', '5', '6', '7'])
    t.deepEqual(await rig.rows('sizes'), ['4', '4'])
  })
})

nativeTest('native batch that fails as a whole is given again one by one, and the bad event goes to the dead letters alone', async (t) => {
  await withRig(t, BATCH, 'batch: { mode: enable, batchSize: 3, timeout: 5s }', async (rig) => {
    await Promise.all(['1', 'bad', '2'].map((body) => rig.publish('in/a', body)))
    await rig.until(async () => (await rig.rows('out')).length === 2)
    t.deepEqual((await rig.rows('out')).toSorted(), ['1', '2'])
  })
})

nativeTest('native library may answer now and acknowledge while a later event is handled', async (t) => {
  const source = `${HEAD}static uint64_t held;
${HANDLE} {
  dunlin_span body = dunlin_body(event);
  dunlin_emit(context, event, DUNLIN_TEXT("out"), body.data, body.length);
  if (dunlin_equals(body, DUNLIN_TEXT("hold"))) {
    held = event->ticket;
    return dunlin_respond_unacknowledged(context, event, 200, "", 0);
  }
  return dunlin_acknowledge(context, held, 200);
}`
  await withRig(t, source, 'explicitAckMode: enable, orderKey: none', async (rig) => {
    await rig.publish('in/a', 'hold')
    await rig.publish('in/b', 'go')
    await rig.until(async () => (await rig.rows('out')).length === 2)
    t.deepEqual((await rig.rows('out')).toSorted(), ['go', 'hold'])
  })
})

nativeTest('native library streams its answer, waits for a slow reader, and sees one that is gone', async (t) => {
  const source = `${HEAD}${HANDLE} {
  static char part[100000];
  dunlin_meta meta = {DUNLIN_TEXT("text/csv"), NULL, 0};
  int i, count = atoi(dunlin_body(event).data);
  int32_t failed = dunlin_stream(context, event, 206, &meta);
  memset(part, 'x', sizeof part);
  for (i = 0; failed == 0 && i < count; i++) failed = dunlin_write(context, event, part, sizeof part);
  if (failed == DUNLIN_E_GONE) dunlin_log(context, DUNLIN_INFO, DUNLIN_TEXT("gone"));
  return 0;
}`
  await withRig(t, source, 'orderKey: none', async (rig) => {
    const { host, port } = rig.http.address!
    const post = (body: string, signal?: AbortSignal): Promise<Response> =>
      fetch(`http://${host}:${port}/f`, { method: 'POST', body, ...(signal ? { signal } : {}) })
    const answer = await post('20\0')
    t.deepEqual([answer.status, answer.headers.get('content-type')], [206, 'text/csv'])
    t.is((await answer.arrayBuffer()).byteLength, 2_000_000)
    const leaving = new AbortController()
    await post('100000\0', leaving.signal)
    leaving.abort()
    await rig.until(() => rig.logs.some(({ message }) => message === 'gone'))
    t.is((await (await post('1\0')).arrayBuffer()).byteLength, 100_000)
  })
})

nativeTest('the example of docs/native.md compiles without a warning and does what the page says', async (t) => {
  const page = readFileSync(path.join(import.meta.dirname, '../../docs/native.md'), 'utf8')
  const source = /```c\n(\/\* count\.c[\s\S]*?)```/.exec(page)?.[1]
  t.truthy(source)
  const driven = make(t, source!)
  await driven.worker.start()
  t.is((await driven.call('a')).text, '1')
  const { text, operations } = await driven.call('b')
  t.is(text, '2')
  t.deepEqual(
    operations.map(({ name }) => name),
    ['counts', 'n'],
  )
  t.is((await driven.call('')).error, 'the event has no body')
})

for (const [compiler, language] of [
  ['gcc', '-std=c11'],
  ['gcc', '-std=c99'],
] as const) {
  nativeTest(`dunlin.h compiles with ${compiler} ${language} and every warning`, (t) => {
    const folder = tempDir(t)
    writeFileSync(path.join(folder, 'x.c'), '#include <dunlin.h>\nDUNLIN_DEFINE_ABI\n')
    const strict = ['-Wall', '-Wextra', '-Wshadow', '-Wconversion', '-Werror']
    execFileSync(compiler, [language, ...strict, '-c', '-I', HEADER_FOLDER, '-o', path.join(folder, 'x.o'), path.join(folder, 'x.c')])
    t.pass()
  })
}
