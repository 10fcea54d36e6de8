import fc from 'fast-check'
import test, { type ExecutionContext } from 'ava'
import { ConfigError, type ConfigProblem } from '../../config/config-error.ts'
import { parseFunctionConfig, type HttpTriggerConfig, type MqttTriggerConfig } from '../../config/function-config.ts'
import { TRIGGER_KINDS } from '../../config/triggers/registry.ts'
import { BUILD_WITHOUT_EFFECT, OTHER_RUNTIMES, OTHER_TRIGGER_KINDS, SPEC_WITHOUT_EFFECT } from '../../config/nuclio-fields.ts'

const MINIMAL = `
metadata:
  name: hello
spec:
  runtime: nodejs
  handler: main:handler
`

const OWN_POOL = { name: null, minWorkers: 1, idleTimeoutMs: 300_000, prewarm: false, allocation: 'pool' } as const

const parse = (text: string) => parseFunctionConfig(text, 'function.yaml')

function problemsOf(t: ExecutionContext, text: string): readonly ConfigProblem[] {
  const error = t.throws(() => parse(text), { instanceOf: ConfigError, code: 'config-invalid' })
  return error?.problems ?? []
}

function textsOf(t: ExecutionContext, text: string): string[] {
  return problemsOf(t, text).length > 0 ? t.throws(() => parse(text)).message.split('\n') : []
}

const withTrigger = (yaml: string) => `${MINIMAL}  triggers:\n    a:\n${yaml.replace(/^/gm, '      ')}\n`
const triggerOf = (yaml: string) => parse(withTrigger(yaml)).triggers[0]!

test('a minimal function gets every default', (t) => {
  const { notices, ...config } = parse(MINIMAL)
  t.deepEqual(config, {
    name: 'hello',
    labels: {},
    annotations: {},
    description: '',
    handler: 'main:handler',
    runtime: 'nodejs',
    isolation: 'thread',
    env: [],
    eventTimeoutMs: 30_000,
    maxAttempts: 5,
    retryFirstMs: 1000,
    retryMaxMs: 60_000,
    outputStream: null,
    routes: null,
    logLevel: 'info',
    runtimeAttributes: {},
    disabled: false,
    triggers: [],
    memoryLimitBytes: null,
    inlineSource: null,
  })
  t.deepEqual(notices, ['function.yaml:4:1 spec has no triggers: the function runs only when it is called by name'])
})

test('a Nuclio document with every field of its spec is taken, with a notice for each that has no effect', (t) => {
  const fields = Object.keys(SPEC_WITHOUT_EFFECT).map((field) => `  ${field}: {a: 1}`)
  const build = Object.keys(BUILD_WITHOUT_EFFECT).map((field) => `    ${field}: [1]`)
  const config = parse(`
apiVersion: "nuclio.io/v1beta1"
kind: "NuclioFunction"
metadata:
  name: nuclio
  namespace: default
  labels: {nuclio.io/project-name: sensors}
spec:
  description: from Nuclio
  runtime: "python:3.9"
  handler: "reader:handle"
  eventTimeout: 1m30s
  env:
  - {name: KEY, value: secret}
  - {name: OTHER, valueFrom: {secretKeyRef: {name: a, key: b}}}
  loggerSinks: [{level: warning, sink: stdout}]
  runtimeAttributes: {jvmOptions: [-Xmx1g]}
  triggers:
    web: {kind: http, class: sync, maxWorkers: 4, attributes: {port: 8081, ingresses: {host: a}}}
${fields.join('\n')}
  build:
${build.join('\n')}
status: {state: ready}
`)
  t.is(config.runtime, 'python')
  t.is(config.eventTimeoutMs, 90_000)
  t.deepEqual(config.env, [{ name: 'KEY', value: 'secret' }])
  t.is(config.logLevel, 'warn')
  t.is(config.triggers[0]!.numWorkers, 4)
  const named = (path: string) => config.notices.filter((notice) => notice.includes(` ${path} `)).length
  for (const field of Object.keys(SPEC_WITHOUT_EFFECT)) t.is(named(`spec.${field}`), 1, field)
  for (const field of Object.keys(BUILD_WITHOUT_EFFECT)) t.is(named(`spec.build.${field}`), 1, field)
  for (const path of [
    'metadata.namespace',
    'status',
    'spec.env[1].valueFrom',
    'spec.loggerSinks[0].sink',
    'spec.triggers.web.class',
    'spec.triggers.web.attributes.ingresses',
  ]) {
    t.is(named(path), 1, path)
  }
})

test('empty fields of an exported document give no notices', (t) => {
  t.deepEqual(
    parse(withTrigger('kind: http\nclass: ""').replace('spec:\n', 'spec:\n  resources: {}\n  volumes: []\n  image: ""\n')).notices,
    [],
  )
})

test('any document gives a config or a ConfigError, and nothing else', (t) => {
  const keys = [
    'metadata',
    'name',
    'spec',
    'runtime',
    'handler',
    'env',
    'retry',
    'first',
    'triggers',
    'kind',
    'attributes',
    'subscriptions',
    'topic',
    'build',
    'functionSourceCode',
    'x',
  ]
  const leaf = fc.oneof(fc.constantFrom('mqtt', 'http', 'cron', 'shell', 'python', '1s', '', null, true, 0, -1, 1e300), fc.string())
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 6, withCrossShrink: true },
      leaf,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...keys), tie('value'), { maxKeys: 5 }),
    ),
  }))
  const spec = fc.record(
    { runtime: fc.constantFrom('shell', 'nodejs'), triggers: value, build: value, runtimeAttributes: value, handler: value },
    { requiredKeys: [] },
  )
  const document = fc.oneof(value, fc.record({ metadata: fc.constant({ name: 'a' }), spec }))
  fc.assert(
    fc.property(document, (given) => {
      try {
        return parse(JSON.stringify(given)).name === 'a'
      } catch (error) {
        return (
          error instanceof ConfigError && error.problems.length > 0 && error.problems.every(({ line, column }) => line > 0 && column > 0)
        )
      }
    }),
    { numRuns: 2000 },
  )
  t.pass()
})

test('every problem is reported at once, each with its line and column', (t) => {
  t.deepEqual(
    textsOf(
      t,
      `metadata:
  name: Bad_Name
  lables: {}
spec:
  runtime: nodejs
  handler: main:handler
  eventTimeout: 20
  maxAttempts: 0
  retry: []
  triggers:
    a:
      kind: mqtt
      numWorker: 2
      numWorkers: 65
      attributes:
        subscriptions: [{topic: a/#/b}, {topik: x}]
    b: {kind: cron, attributes: {schedule: "61 * * * *"}}
    c:
`,
    ),
    [
      'function.yaml:2:9 metadata.name: expected 1 to 63 of a-z, 0-9 and "-", not at the ends, got "Bad_Name"',
      'function.yaml:3:3 metadata.lables: unknown key (did you mean "labels"?)',
      'function.yaml:7:17 spec.eventTimeout: expected a duration such as "20s", "500ms" or "1m30s", got 20',
      'function.yaml:8:16 spec.maxAttempts: expected at least 1, got 0',
      'function.yaml:9:10 spec.retry: expected a map, got a list',
      'function.yaml:13:7 spec.triggers.a.numWorker: unknown key (did you mean "numWorkers"?)',
      'function.yaml:14:19 spec.triggers.a.numWorkers: expected at most 64, got 65',
      'function.yaml:16:33 spec.triggers.a.attributes.subscriptions[0].topic: expected "#" alone and as the last level of a topic filter, got "a/#/b"',
      'function.yaml:16:41 spec.triggers.a.attributes.subscriptions[1].topic: expected a string, got nothing',
      'function.yaml:16:42 spec.triggers.a.attributes.subscriptions[1].topik: unknown key (did you mean "topic"?)',
      'function.yaml:17:44 spec.triggers.b.attributes.schedule: expected a schedule whose minute is "*" or within 0 to 59, got "61 * * * *"',
    ],
  )
})

test('an empty file names what is missing', (t) => {
  t.deepEqual(
    problemsOf(t, '').map(({ path, message }) => `${path}: ${message}`),
    ['metadata: expected a map, got nothing', 'spec: expected a map, got nothing'],
  )
})

test('a file that is a list is refused', (t) => {
  t.is(problemsOf(t, '- a\n- b')[0]!.message, 'expected a map, got a list')
})

for (const [given, kind] of [
  ['python', 'python'],
  ['python:3.9', 'python'],
  ['python:3.11', 'python'],
  ['nodejs', 'nodejs'],
  ['shell', 'shell'],
]) {
  test(`runtime ${given} is ${kind}`, (t) => {
    t.is(parse(MINIMAL.replace('nodejs', given!)).runtime, kind as never)
  })
}

for (const runtime of [...OTHER_RUNTIMES, 'java:11']) {
  test(`runtime ${runtime} is not on this version and says so`, (t) => {
    t.is(problemsOf(t, MINIMAL.replace('nodejs', runtime))[0]!.hint, `runtime ${runtime} is not on this version`)
  })
}

test('a runtime nobody knows names those there are', (t) => {
  t.is(
    problemsOf(t, MINIMAL.replace('nodejs', 'perl'))[0]!.message,
    'expected one of nodejs, python, java, native, golang, shell, got "perl"',
  )
})

test('a handler that is left out is main:handler, but for shell', (t) => {
  const without = MINIMAL.replace('  handler: main:handler\n', '')
  t.is(parse(without).handler, 'main:handler')
  t.is(problemsOf(t, without.replace('nodejs', 'shell'))[0]!.message, 'expected the program to run, got nothing')
})

test('shell arguments are split as Nuclio writes them and taken as a list', (t) => {
  const shell = (attributes: string) => parse(`${MINIMAL.replace('nodejs', 'shell')}  runtimeAttributes: ${attributes}\n`).runtimeAttributes
  t.deepEqual(shell(`{arguments: "-n 'two words' x", responseHeaders: {X-A: 1}}`), {
    arguments: ['-n', 'two words', 'x'],
    responseHeaders: { 'X-A': '1' },
  })
  t.deepEqual(shell('{arguments: ["$(rm -rf /)", "a b"]}'), { arguments: ['$(rm -rf /)', 'a b'], responseHeaders: {} })
  t.deepEqual(shell('{}'), { arguments: [], responseHeaders: {} })
})

test('inline source is decoded, and refused when it is no base64', (t) => {
  const source = 'def handler(context, event):\n  return "ü"\n'
  const inline = (text: string) => `${MINIMAL}  build: {functionSourceCode: "${text}", codeEntryType: sourceCode}\n`
  t.is(parse(inline(Buffer.from(source).toString('base64'))).inlineSource, source)
  t.is(problemsOf(t, inline('not base64!'))[0]!.message, 'expected base64, got other characters')
})

test('code that must be fetched from elsewhere is refused', (t) => {
  t.is(problemsOf(t, `${MINIMAL}  build: {codeEntryType: github}\n`)[0]!.path, 'spec.build.codeEntryType')
})

test('retry.max below retry.first is refused', (t) => {
  t.is(problemsOf(t, `${MINIMAL}  retry: {first: 10s, max: 5s}\n`)[0]!.path, 'spec.retry.max')
})

test('an mqtt trigger gets its defaults', (t) => {
  t.deepEqual(triggerOf('kind: mqtt\nattributes: {subscriptions: [{topic: a/+/b}, {topic: "#", qos: 0}]}') as MqttTriggerConfig, {
    name: 'a',
    kind: 'mqtt',
    numWorkers: 1,
    concurrency: 64,
    pool: OWN_POOL,
    delivery: 'durable',
    orderKey: 'topic',
    workerAvailabilityTimeoutMs: 10_000,
    batch: null,
    explicitAckMode: 'disable',
    explicitAckTimeoutMs: 60_000,
    annotations: {},
    subscriptions: [
      { topic: 'a/+/b', qos: 1 },
      { topic: '#', qos: 0 },
    ],
    outside: null,
  })
})

test("an mqtt trigger on an outside broker gets its defaults; tcp and ssl are Nuclio's names", (t) => {
  const outside = (lines: string) => (parse(withTrigger(`kind: mqtt\n${lines}`)).triggers[0] as MqttTriggerConfig).outside
  t.is(outside('url: local\nattributes: {subscriptions: [{topic: a}]}'), null)
  t.deepEqual(outside('url: tcp://broker:1883\nusername: me\npassword: "${PW}"\nattributes: {subscriptions: [{topic: $share/g/a/#}]}'), {
    urls: ['mqtt://broker:1883'],
    protocolVersion: 4,
    clientId: null,
    username: 'me',
    password: '${PW}',
    usernameFile: null,
    passwordFile: null,
    cleanSession: false,
    sessionExpirySeconds: null,
    keepAliveSeconds: 30,
    receiveMaximum: 1000,
    messageBytesMax: 4 * 1024 * 1024,
    caFile: null,
    certFile: null,
    keyFile: null,
    servername: null,
    alpn: [],
    resultTopic: null,
    resultQos: 1,
  })
  const urls = outside('url: ssl://a\nattributes: {urls: ["wss://b/mqtt", "ssl://a"], subscriptions: [{topic: a}]}')!.urls
  t.deepEqual(urls, ['mqtts://a', 'wss://b/mqtt'])
})

test('what is wrong with an outside broker is told with its place, and never the password', (t) => {
  const problem = (lines: string) => problemsOf(t, withTrigger(`kind: mqtt\n${lines}`))[0]!
  t.regex(problem('url: http://b\nattributes: {subscriptions: [{topic: a}]}').message, /^expected the URL of a broker/)
  t.is(
    problem('url: mqtt://me:secret@b\nattributes: {subscriptions: [{topic: a}]}').message,
    'expected a URL without user and password, got one with them',
  )
  t.notRegex(problem('url: mqtt://me:secret@b\nattributes: {subscriptions: [{topic: a}]}').message, /secret/)
  const attributes = (text: string) => problem(`url: mqtt://b\npassword: p\nattributes: {subscriptions: [{topic: a}], ${text}}`)
  t.is(attributes('certFile: /c').path, 'spec.triggers.a.attributes.certFile')
  t.is(attributes('caFile: c').message, 'expected the absolute path of a file, got "c"')
  t.is(attributes('passwordFile: /p').message, 'expected password or passwordFile, got both')
  t.is(attributes('sessionExpiry: 1h').message, 'expected protocolVersion 5, got 4')
  t.is(attributes('resultTopic: a/+').path, 'spec.triggers.a.attributes.resultTopic')
})

test('filters that overlap in part are noticed where MQTT 3.1.1 cannot tell copies', (t) => {
  const notices = (version: number) =>
    parse(
      withTrigger(
        `kind: mqtt\nurl: mqtt://b\nattributes: {protocolVersion: ${version}, subscriptions: [{topic: a/#}, {topic: a/b}, {topic: +/c}, {topic: d}]}`,
      ),
    ).notices.filter((notice) => notice.includes('overlaps "a/#"'))
  t.is(notices(4).length, 1)
  t.is(notices(5).length, 0)
})

test('what only an outside broker needs is answered with a notice on the own one', (t) => {
  const { notices } = parse(withTrigger('kind: mqtt\nusername: me\nattributes: {clientID: c, keepAlive: 10s, subscriptions: [{topic: a}]}'))
  t.is(notices.filter((notice) => notice.includes("the device's own broker hands events over without a client")).length, 3)
})

test('an mqtt trigger without subscriptions is refused', (t) => {
  t.is(
    problemsOf(t, withTrigger('kind: mqtt\nattributes: {subscriptions: []}'))[0]!.message,
    'expected at least one subscription, got a list',
  )
})

for (const topic of ['', 'a#', 'a/#/b', 'a+/b', '+a', '$share/group/a', 'a\\0', 'é'.repeat(513)]) {
  test(`the topic filter ${topic.slice(0, 20)} is refused`, (t) => {
    t.is(
      problemsOf(t, withTrigger(`kind: mqtt\nattributes: {subscriptions: [{topic: "${topic}"}]}`))[0]!.path,
      'spec.triggers.a.attributes.subscriptions[0].topic',
    )
  })
}

test('an http trigger gets its defaults, on a port of its own the root path', (t) => {
  t.deepEqual(triggerOf('kind: http') as HttpTriggerConfig, {
    name: 'a',
    kind: 'http',
    numWorkers: 1,
    concurrency: 64,
    pool: OWN_POOL,
    delivery: 'direct',
    orderKey: 'none',
    workerAvailabilityTimeoutMs: 10_000,
    batch: null,
    explicitAckMode: 'disable',
    explicitAckTimeoutMs: 60_000,
    annotations: {},
    server: null,
    paths: ['/hello'],
    methods: null,
    maxRequestBodyBytes: 4 * 1024 * 1024,
    cors: null,
    websocket: null,
    cloudEvents: true,
    returnLogs: 'loopback',
    fileStreamFolder: null,
  })
  t.deepEqual((triggerOf('kind: http\nattributes: {port: 9000}') as HttpTriggerConfig).paths, ['/'])
})

test('a request body limit is a number of bytes, as in Nuclio, or a size', (t) => {
  const limit = (given: string) =>
    (triggerOf(`kind: http\nattributes: {maxRequestBodySize: ${given}}`) as HttpTriggerConfig).maxRequestBodyBytes
  t.is(limit('1000'), 1000)
  t.is(limit('2MiB'), 2 * 1024 * 1024)
})

test('cors has Nuclio defaults, and refuses credentials for all origins', (t) => {
  t.like((triggerOf('kind: http\nattributes: {cors: {enabled: true}}') as HttpTriggerConfig).cors, {
    allowOrigins: ['*'],
    allowCredentials: false,
    preflightMaxAgeSeconds: 5,
  })
  t.is(
    problemsOf(t, withTrigger('kind: http\nattributes: {cors: {enabled: true, allowCredentials: true}}'))[0]!.path,
    'spec.triggers.a.attributes.cors',
  )
})

test('a cron trigger takes a schedule or an interval, and body and headers of its event', (t) => {
  t.like(
    triggerOf('kind: cron\nattributes: {schedule: "0  */5 * * mon-fri", timezone: Europe/Berlin, event: {body: x, headers: {A: 1}}}'),
    {
      schedule: '0 */5 * * mon-fri',
      intervalMs: null,
      body: 'x',
      headers: { A: '1' },
      timezone: 'Europe/Berlin',
      delivery: 'durable',
      orderKey: 'source',
    },
  )
  t.like(triggerOf('kind: cron\nattributes: {interval: 3s}'), { schedule: null, intervalMs: 3000 })
  t.like(triggerOf('kind: cron\nattributes: {schedule: "@every 90s"}'), { schedule: null, intervalMs: 90_000 })
  t.like(triggerOf('kind: cron\nattributes: {schedule: "@hourly"}'), { schedule: '0 * * * *', intervalMs: null })
})

for (const attributes of [
  '{}',
  '{schedule: "* * * * *", interval: 1s}',
  '{schedule: "* * * *"}',
  '{schedule: "* 24 * * *"}',
  '{schedule: "*/0 * * * *"}',
  '{schedule: "@every 1ms"}',
  '{interval: 1ms}',
  '{interval: 1s, timezone: Mars/Olympus}',
]) {
  test(`a cron trigger with ${attributes} is refused`, (t) => {
    t.is(problemsOf(t, withTrigger(`kind: cron\nattributes: ${attributes}`)).length, 1)
  })
}

for (const kind of OTHER_TRIGGER_KINDS) {
  test(`trigger kind ${kind} is not on this version and says so`, (t) => {
    const [problem] = problemsOf(t, withTrigger(`kind: ${kind}`))
    t.is(problem!.message, `expected one of ${TRIGGER_KINDS.join(', ')}, got "${kind}"`)
    t.is(problem!.hint, `trigger kind ${kind} is not on this version`)
  })
}

test('a disabled trigger is left out with a notice, whatever its kind', (t) => {
  const config = parse(withTrigger('kind: kafka-cluster\ndisabled: true'))
  t.deepEqual(config.triggers, [])
  t.true(config.notices.includes('function.yaml:8:5 spec.triggers.a is disabled and left out'))
})

test('maxWorkers is the old name of numWorkers, and may not differ from it', (t) => {
  t.is(triggerOf('kind: http\nmaxWorkers: 3').numWorkers, 3)
  t.is(problemsOf(t, withTrigger('kind: http\nmaxWorkers: 3\nnumWorkers: 2'))[0]!.path, 'spec.triggers.a.maxWorkers')
})

test('concurrency depends on the runtime unless it is given', (t) => {
  const concurrency = (runtime: string, extra = '') =>
    parse(withTrigger(`kind: http${extra}`).replace('nodejs', runtime)).triggers[0]!.concurrency
  t.deepEqual(
    [concurrency('nodejs'), concurrency('python'), concurrency('shell'), concurrency('shell', '\nconcurrency: 4')],
    [64, 256, 1, 4],
  )
})

test('a batch has ten events and a second by default, and only with mode enable', (t) => {
  const batch = (lines: string) => parse(withTrigger(`kind: http\n${lines}`)).triggers[0]!.batch
  t.deepEqual(batch('batch: { mode: enable }'), { size: 10, timeoutMs: 1_000 })
  t.deepEqual(batch('batch: { mode: enable, batchSize: 3, timeout: 20ms }'), { size: 3, timeoutMs: 20 })
  t.is(batch('batch: { batchSize: 3 }'), null)
  t.is(problemsOf(t, withTrigger('kind: http\nbatch: { mode: enable, batchSize: 1025 }'))[0]!.path, 'spec.triggers.a.batch.batchSize')
})

test('what the handlers of a runtime cannot do is refused: programs acknowledge by their exit code', (t) => {
  const given = withTrigger('kind: http\nexplicitAckMode: explicitOnly\nexplicitAckTimeout: 5s')
  t.like(parse(given).triggers[0]!, { explicitAckMode: 'explicitOnly', explicitAckTimeoutMs: 5_000 })
  t.is(problemsOf(t, given.replace('nodejs', 'shell'))[0]!.path, 'spec.triggers.a.explicitAckMode')
})

test('isolation is thread for nodejs unless asked otherwise, and cannot be thread elsewhere', (t) => {
  t.is(parse(`${MINIMAL}  isolation: process\n`).isolation, 'process')
  const python = MINIMAL.replace('nodejs', 'python')
  t.is(parse(python).isolation, 'process')
  t.regex(textsOf(t, `${python}  isolation: thread\n`)[0]!, /spec\.isolation: expected process, got thread/)
})

test('how a shell program runs is checked, with the place of what does not fit', (t) => {
  const shell = (attributes: string) => `${MINIMAL.replace('nodejs', 'shell')}  runtimeAttributes: ${attributes}\n`
  t.like(parse(shell('{mode: persistent, framing: lines}')).runtimeAttributes, { mode: 'persistent', framing: 'lines' })
  for (const [attributes, path, message] of [
    ['{framing: lines}', 'framing', 'expected mode: persistent beside it, got nothing'],
    ['{mode: pooled}', 'mode', 'expected one of perEvent, persistent, got "pooled"'],
    ['{mode: persistent, argumentsFromHeader: true}', 'argumentsFromHeader', 'expected false, got true'],
    ['{arguments: ["a\\0b"]}', 'arguments', null],
    ['{responseHeaders: {"a b": x}}', 'responseHeaders', null],
  ] as const) {
    const [problem] = problemsOf(t, shell(attributes))
    t.true(problem!.path.startsWith(`spec.runtimeAttributes.${path}`), problem!.path)
    t.true(problem!.line > 0 && problem!.column > 0)
    if (message !== null) t.is(problem!.message, message)
  }
})

test('persistent shell program has several events on their way unless told otherwise', (t) => {
  const concurrency = (attributes: string, more = '') =>
    parse(
      `{ metadata: { name: hello }, spec: { runtime: shell, handler: cat, runtimeAttributes: ${attributes}, triggers: { a: { kind: http${more} } } } }`,
    ).triggers[0]!.concurrency
  t.is(concurrency('{}'), 1)
  t.is(concurrency('{ mode: persistent }'), 64)
  t.is(concurrency('{ mode: persistent }', ', concurrency: 3'), 3)
})
