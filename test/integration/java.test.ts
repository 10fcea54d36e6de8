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
