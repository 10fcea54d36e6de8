/** What a library does to its process costs that process: the event comes again, is counted, and the agent goes on. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { parseFunctionConfig } from '../../config/function-config.ts'
import { buildLibrary } from '../support/native-library.ts'
import { needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const nativeTest = needs(test.serial, 'gcc')

const SOURCE = `
#include <dunlin.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

DUNLIN_DEFINE_ABI

static int is(dunlin_span body, const char *text) { return dunlin_equals(body, dunlin_text(text)); }

__attribute__((noinline)) static int deep(int n) {
  volatile char page[4096];
  page[0] = (char)n;
  return n == 0 ? 0 : deep(n - 1) + page[0];
}

DUNLIN_EXPORT int32_t dunlin_handle(dunlin_context *context, const dunlin_event *event) {
  dunlin_span body = dunlin_body(event);
  char text[32];
  dunlin_emit(context, event, DUNLIN_TEXT("tried"), body.data, body.length);
  if (event->attempt == 1 && dunlin_topic(event).length > 0) {
    if (is(body, "segfault")) *(volatile int *)8 = 1;
    if (is(body, "exit")) exit(3);
    if (is(body, "loop")) for (;;) __asm__ volatile("");
    if (is(body, "sleep")) sleep(1000);
    if (is(body, "leak")) for (;;) memset(malloc(1 << 20), 1, 1 << 20);
    if (is(body, "recurse")) return deep(1 << 20);
    if (is(body, "scribble")) {
      memset(context->out, 0x5a, 4096);
      context->out_length = 4096;
    }
  }
  if (is(body, "deep")) (void)deep(1000);
  dunlin_emit(context, event, DUNLIN_TEXT("attempts"), text, (size_t)snprintf(text, sizeof text, "%d", event->attempt));
  return dunlin_respond(context, event, 200, body.data, body.length);
}
`

const SPEC = `
metadata: { name: wild }
spec:
  runtime: native
  handler: libwild.so
  maxAttempts: 3
  eventTimeout: 500ms
  retry: { first: 1ms, max: 1s }
  runtimeAttributes: { memoryLimit: 32MiB }
  triggers:
    in: { kind: mqtt, orderKey: none, attributes: { subscriptions: [{ topic: 'in/#', qos: 1 }] } }`

function withRig(title: string, run: (t: ExecutionContext, rig: ProcessorRig) => Promise<void>): void {
  nativeTest(title, async (t) => {
    const directory = tempDir(t)
    writeFileSync(path.join(directory, 'wild.c'), SOURCE)
    buildLibrary(path.join(directory, 'wild.c'), path.join(directory, 'libwild.so'))
    const rig = await ProcessorRig.open(tempDir(t))
    try {
      await rig.processor.activate({ config: parseFunctionConfig(SPEC, 'function.yaml'), version: '1', directory })
      await run(t, rig)
    } finally {
      await rig.close()
    }
  })
}

for (const [what, reason] of [
  ['segfault', /SIGSEGV/],
  ['exit', /exit code 3/],
  ['loop', /within 500 ms/],
  ['sleep', /within 500 ms/],
  ['leak', /SIGSEGV|SIGABRT|SIGTRAP/],
  ['recurse', /SIGSEGV/],
  ['scribble', /no record/],
] as const) {
  withRig(`native library with ${what} loses its process; the event is handled at its second attempt, once`, async (t, rig) => {
    await rig.publish('in/x', what)
    await rig.until(async () => (await rig.rows('attempts')).length === 1)
    t.deepEqual(await rig.rows('attempts'), ['2'])
    t.deepEqual(await rig.rows('tried'), [what])
    t.is((await rig.invoke('wild', 'fine')).body.toString(), 'fine')
    t.true(
      rig.logs.some(({ message, fields }) => reason.test(message + fields)),
      JSON.stringify(rig.logs),
    )
  })
}

withRig('native library has a stack of 4 MB and more, as a program has', async (t, rig) => {
  t.is((await rig.invoke('wild', 'deep')).status, 200)
})

nativeTest('native host ends with its agent, also in the middle of an event', async (t) => {
  const agent = spawn(process.execPath, [path.join(import.meta.dirname, '../support/native-child.ts'), tempDir(t)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => agent.kill('SIGKILL'))
  const [line] = (await once(createInterface(agent.stdout), 'line')) as [string]
  const isRunning = (): boolean => existsSync(`/proc/${line}/exe`)
  t.true(isRunning())
  agent.kill('SIGKILL')
  while (isRunning()) await wait(5)
  t.pass()
})
