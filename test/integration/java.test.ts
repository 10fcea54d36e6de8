import { readFileSync } from 'node:fs'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const javaTest = needs(test.serial, 'java', 'javac')

const spec = (more = ''): string => `
metadata: { name: f }
spec:
  runtime: java
  handler: Main
  maxAttempts: 2
  retry: { first: 1ms, max: 1s }
${more}
  triggers:
    in: { kind: mqtt, attributes: { subscriptions: [{ topic: 'in/#', qos: 1 }] } }`

const main = (body: string, more = ''): Record<string, string> => ({
  'Main.java': `
import dunlin.*;
import java.util.*;
public class Main implements Handler {
  ${more}
  public Object handle(Context context, Event event) throws Exception {
    ${body}
  }
}`,
})

function withRig(title: string, run: (t: ExecutionContext, rig: ProcessorRig) => Promise<void>): void {
  javaTest(title, async (t) => {
    const rig = await ProcessorRig.open(tempDir(t))
    try {
      await run(t, rig)
    } finally {
      await rig.close()
    }
  })
}

withRig('java handler emits each message once, in the order of its topic', async (t, rig) => {
  await rig.processor.activate(rig.version(spec(), main(`context.emit("out", event.topic() + ":" + event.text()); return null;`)))
  await Promise.all(Array.from({ length: 200 }, (_, i) => rig.publish(`in/${i % 2}`, String(i))))
  await rig.until(async () => (await rig.rows('out')).length >= 200)
  const rows = await rig.rows('out')
  t.is(rows.length, 200)
  for (const key of [0, 1]) {
    const own = rows.filter((row) => row.startsWith(`in/${key}:`)).map((row) => Number(row.split(':')[1]))
    t.deepEqual(
      own,
      Array.from({ length: 100 }, (_, i) => 2 * i + key),
    )
  }
})

withRig('java handler answers in every form, and what it throws is an answer of 500 with its own stack', async (t, rig) => {
  const forms = `
    return switch (event.text()) {
      case "none" -> null;
      case "text" -> "täxt";
      case "bytes" -> new byte[] {1, 2};
      case "map" -> Map.of("a", List.of(1, "ü", 2.5, true));
      case "response" -> new Response(410, "gone").header("x-a", "1");
      case "object" -> new Object();
      default -> throw new IllegalStateException("nope");
    };`
  await rig.processor.activate(rig.version(spec(), main(forms)))
  const form = async (name: string): Promise<unknown[]> => {
    const { status, body } = await rig.invoke('f', name)
    return [status, body.toString()]
  }
  t.deepEqual(await form('none'), [200, ''])
  t.deepEqual(await form('text'), [200, 'täxt'])
  t.deepEqual(await form('bytes'), [200, '\x01\x02'])
  t.deepEqual(await form('map'), [200, '{"a":[1,"ü",2.5,true]}'])
  t.deepEqual(await form('response'), [410, 'gone'])
  t.is((await form('object'))[0], 500)
  t.is((await form('other'))[0], 500)
  t.deepEqual(await form('text'), [200, 'täxt'])
})

withRig('java bodies of 1 MiB and 8 MiB come back whole', async (t, rig) => {
  await rig.processor.activate(rig.version(spec(), main(`return event.body();`)))
  for (const length of [1 << 20, 8 << 20]) {
    const sent = 'ab'.repeat(length / 2)
    const { status, body } = await rig.invoke('f', sent)
    t.is(status, 200)
    t.true(body.toString() === sent, `${length} bytes`)
  }
})

withRig('java state is kept after success, and what a failed event did is not there', async (t, rig) => {
  const count = `
    long n = context.state().getLong("n", 0) + 1;
    context.state().set("n", n);
    if (event.text().equals("fail")) throw new RuntimeException("after set");
    return n;`
  await rig.processor.activate(rig.version(spec(), main(count)))
  const answers: string[] = []
  for (const body of ['', 'fail', '', '']) answers.push((await rig.invoke('f', body)).body.toString())
  t.deepEqual([answers[0], answers[2], answers[3]], ['1', '2', '3'])
})

withRig('java handler that exits or hangs loses its worker, and the next event is handled', async (t, rig) => {
  const bad = `
    if (event.text().equals("exit")) System.exit(3);
    while (event.text().equals("hang"));
    return "ok";`
  await rig.processor.activate(rig.version(spec('  eventTimeout: 500ms'), main(bad)))
  t.true((await rig.invoke('f', 'exit')).status >= 500)
  t.is((await rig.invoke('f', 'hang')).status, 408)
  let status = 0
  await rig.until(async () => (status = (await rig.invoke('f', 'fine')).status) === 200)
  t.is(status, 200)
})

withRig('java logs and prints reach the log of the function', async (t, rig) => {
  const talk = `context.logger().warn("hot", Map.of("celsius", 90)); System.out.println("printed"); return null;`
  await rig.processor.activate(rig.version(spec(), main(talk)))
  await rig.invoke('f', '')
  await rig.until(() => rig.logs.some(({ message }) => message === 'printed'))
  t.deepEqual(
    rig.logs.find(({ message }) => message === 'hot'),
    { level: 30, message: 'hot', fields: '{"celsius":90}' },
  )
})

withRig('java function that does not compile or has no such class is told', async (t, rig) => {
  await t.throwsAsync(rig.processor.activate(rig.version(spec(), { 'Main.java': 'class Main {' })))
  await t.throwsAsync(rig.processor.activate(rig.version(spec(), { 'Other.java': 'class Other {}' })))
})

const trigger = (more: string): string => `
metadata: { name: f }
spec:
  runtime: java
  handler: Main
  retry: { first: 1ms, max: 1s }
  triggers:
    in: { kind: mqtt, ${more}, attributes: { subscriptions: [{ topic: 'in/#', qos: 1 }] } }`

withRig('java batch handler gets its events in one call, answers each by its id, and emits for each', async (t, rig) => {
  const source = `
import dunlin.*;
import java.util.*;
public class Main implements BatchHandler {
  public Object handle(Context context, List<Event> events) {
    List<Response> answers = new ArrayList<>();
    for (Event event : events) {
      context.forEvent(event).emit("out", event.text() + "/" + events.size());
      boolean isBad = event.text().equals("bad") && event.attempt() == 1;
      answers.add(0, new Response(isBad ? 503 : 200, "").eventId(event.id()));
    }
    return answers;
  }
}`
  await rig.processor.activate(rig.version(trigger('batch: { mode: enable, batchSize: 3, timeout: 10s }'), { 'Main.java': source }))
  await Promise.all(['1', 'bad', '3'].map((body, i) => rig.publish(`in/${i}`, body)))
  await rig.until(async () => (await rig.store.ledger()).sources[0]?.delivered === 3)
  // One that has failed before comes alone.
  t.deepEqual((await rig.rows('out')).sort(), ['1/3', '3/3', 'bad/1'])
})

withRig('java batch handler that throws fails nobody for good: each event comes once more, alone', async (t, rig) => {
  const source = `
import dunlin.*;
import java.util.*;
public class Main implements BatchHandler {
  public Object handle(Context context, List<Event> events) {
    if (events.size() > 1) throw new IllegalStateException("too many");
    context.emit("out", events.get(0).text() + " attempt " + events.get(0).attempt());
    return null;
  }
}`
  await rig.processor.activate(rig.version(trigger('batch: { mode: enable, batchSize: 2, timeout: 10s }'), { 'Main.java': source }))
  await Promise.all(['1', '2'].map((body, i) => rig.publish(`in/${i}`, body)))
  await rig.until(async () => (await rig.store.ledger()).sources[0]?.delivered === 2)
  t.deepEqual((await rig.rows('out')).sort(), ['1 attempt 1', '2 attempt 1'])
})

withRig('java handler acknowledges later, refuses, and what it emitted comes with the acknowledgement', async (t, rig) => {
  const source = `
    context.emit("out", event.text() + " attempt " + event.attempt());
    if (event.text().equals("refused") && event.attempt() == 1) context.explicitNack(event, "not now");
    else if (event.text().equals("kept")) context.userData().put("kept", event);
    else if (event.text().equals("go")) context.explicitAck((Event) context.userData().get("kept"));
    else if (event.text().equals("refused")) context.explicitAck(event);
    return event.text().equals("go") ? null : new Response("").ensureNoAck();`
  await rig.processor.activate(rig.version(trigger('explicitAckMode: enable'), main(source)))
  await Promise.all([rig.publish('in/1', 'kept'), rig.publish('in/2', 'refused')])
  await rig.until(async () => (await rig.store.ledger()).sources[0]?.delivered === 1)
  t.deepEqual(await rig.rows('out'), ['refused attempt 2'])
  await rig.publish('in/3', 'go')
  await rig.until(async () => (await rig.store.ledger()).sources[0]?.delivered === 3)
  t.deepEqual((await rig.rows('out')).sort(), ['go attempt 1', 'kept attempt 1', 'refused attempt 2'])
})

withRig('java answer in parts from an iterator or a stream comes whole, also when it is larger than its credit', async (t, rig) => {
  const source = `
    if (event.text().equals("stream")) return new Response(201, new java.io.ByteArrayInputStream(new byte[1 << 20])).contentType("image/x");
    if (event.text().equals("fails")) return List.of(1, 0).stream().map(n -> "x" + 1 / n).iterator();
    return List.of("eins ", "zwei ", "ü").iterator();`
  await rig.processor.activate(rig.version(spec(), main(source)))
  t.is((await rig.invoke('f', 'parts')).body.toString(), 'eins zwei ü')
  const stream = await rig.invoke('f', 'stream')
  t.deepEqual([stream.status, stream.contentType, stream.body.length], [201, 'image/x', 1 << 20])
  t.true((await rig.invoke('f', 'fails')).status >= 500)
  t.is((await rig.invoke('f', 'parts')).status, 200)
})

withRig("java function of Nuclio's interfaces runs as it is", async (t, rig) => {
  const source = `
import io.nuclio.Context;
import io.nuclio.Event;
import io.nuclio.EventHandler;
import io.nuclio.Response;
import java.util.Map;

public class Main implements EventHandler {
    @Override
    public Response handleEvent(Context context, Event event) {
        context.getLogger().infoWith("seen", "size", event.getBody().length);
        context.getLogger().warn("%d bytes of %s", event.getBody().length, event.getTriggerInfo().getKindName());
        if (new String(event.getBody()).equals("bad")) throw new RuntimeException("some error");
        return new Response().setBody("got " + new String(event.getBody())).setHeaders(Map.of("h1", "v1")).setContentType("text/x").setStatusCode(201);
    }
}`
  await rig.processor.activate(rig.version(spec(), { 'Main.java': source }))
  const answer = await rig.invoke('f', 'it')
  t.deepEqual([answer.status, answer.body.toString(), answer.contentType, answer.headers['h1']], [201, 'got it', 'text/x', 'v1'])
  t.like(await rig.invoke('f', 'bad'), { status: 500 })
  t.deepEqual(rig.logs.slice(0, 2), [
    { level: 20, message: 'seen', fields: '{"size":2}' },
    { level: 30, message: '2 bytes of mqtt', fields: '' },
  ])
})

for (const [what, source, more, expected] of [
  [
    'takes no batches',
    'public class Main implements Handler { public Object handle(Context c, Event e) { return null; } }',
    'batch: { mode: enable }',
    /BatchHandler/,
  ],
  [
    'takes batches only',
    'public class Main implements BatchHandler { public Object handle(Context c, java.util.List<Event> e) { return null; } }',
    'numWorkers: 1',
    /takes batches only/,
  ],
  ['is no handler', 'public class Main {}', 'numWorkers: 1', /implements none of/],
] as const) {
  withRig(`java class that ${what} is told so`, async (t, rig) => {
    const version = rig.version(trigger(more), { 'Main.java': `import dunlin.*; ${source}` })
    await t.throwsAsync(rig.processor.activate(version), { message: expected })
  })
}

withRig('java without a JDK says what to do', async (t, rig) => {
  process.env['DUNLIN_JAVAC'] = '/nowhere/javac'
  t.teardown(() => delete process.env['DUNLIN_JAVAC'])
  const error = await t.throwsAsync<Error & { cause?: { hint?: string } }>(
    rig.processor.activate(rig.version(spec(), main('return null;'))),
  )
  t.regex(error.cause?.hint ?? '', /install a JDK/)
})

withRig('java example emits the mean of each ten readings of a topic, over versions', async (t, rig) => {
  const example = path.join(import.meta.dirname, '../../examples/java-average')
  const files = Object.fromEntries(['Average.java', 'function.yaml'].map((name) => [name, readFileSync(path.join(example, name), 'utf8')]))
  await rig.processor.activate(rig.version(files['function.yaml']!, files))
  const readings = (from: number, to: number): Promise<unknown> =>
    Promise.all(Array.from({ length: to - from + 1 }, (_, i) => rig.publish('sensors/room', `{"value": ${from + i}}`)))
  await readings(1, 7)
  await rig.publish('sensors/other', '{"unit": "C"}')
  await rig.until(async () => (await rig.store.ledger()).sources[0]?.delivered === 8)
  await rig.processor.activate(rig.version(files['function.yaml']!, files))
  await readings(8, 12)
  await rig.until(async () => (await rig.store.ledger()).sources[0]?.delivered === 13)
  const rows = (await rig.rows('averages')).map((row) => JSON.parse(row) as unknown)
  t.deepEqual(rows, [{ topic: 'sensors/room', mean: 5.5 }])
})
