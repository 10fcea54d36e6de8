import { readFileSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { type AgentOverrides, parseAgentConfig } from '../../config/agent-config.ts'
import { ConfigError } from '../../config/config-error.ts'
import { parseHubConfig } from '../../config/hub-config.ts'
import { jsonSchemas } from '../../config/write-json-schemas.ts'

const HASH = 'scrypt$16384$8$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='
const agent = (text: string, overrides?: AgentOverrides) => parseAgentConfig(text, '/etc/dunlin/agent.yaml', overrides)

function faults(t: ExecutionContext, parse: () => unknown): string[] {
  return t.throws(parse, { instanceOf: ConfigError }).message.split('\n')
}

test('an empty agent.yaml gives every default of the broker', (t) => {
  t.deepEqual(agent('# nothing\n').broker, {
    enabled: true,
    listen: { host: '127.0.0.1', port: 1883 },
    tls: null,
    allowAnonymous: 'loopback',
    users: [],
    acl: [{ user: '*', publish: ['#'], subscribe: ['#'] }],
    limits: {
      connectBytesMax: 4096,
      packetBytesMax: 262_144,
      connectTimeoutMs: 5000,
      connectionsMax: 1000,
      connectionsPerAddressMax: 100,
      keepaliveMaxSeconds: 300,
      queuedPerClientMax: 1000,
      queuedBytesPerClientMax: 1_048_576,
      sessionsMax: 1000,
      sessionExpiryMs: 86_400_000,
      retainedMax: 10_000,
      retainedBytesMax: 16 * 1_048_576,
      subscriptionsPerClientMax: 100,
      topicLevelsMax: 32,
    },
  })
})

test('a section whose lines are all commented out counts as left out', (t) => {
  t.deepEqual(agent('hub:\n  # url: https://hub\nbroker:\n  limits:\n'), agent(''))
})

test('paths of agent.yaml are relative to its folder, those of the command line to the working directory', (t) => {
  const config = agent('dataDir: data\nhub: {claimTokenFile: ../token}\nbroker: {tls: {certFile: a.pem, keyFile: /k.pem}}', {
    functionsDir: 'functions',
  })
  t.is(config.dataDir, '/etc/dunlin/data')
  t.is(config.hub.claimTokenFile, '/etc/token')
  t.deepEqual(config.broker.tls, { certFile: '/etc/dunlin/a.pem', keyFile: '/k.pem', caFile: null })
  t.is(config.functionsDir, `${process.cwd()}/functions`)
})

test('the command line wins over the file, field by field', (t) => {
  const config = agent('broker: {listen: "0.0.0.0:1", enabled: false}', { broker: { listen: '[::1]:0' }, hub: { url: undefined } })
  t.deepEqual(config.broker.listen, { host: '::1', port: 0 })
  t.false(config.broker.enabled)
})

test('a wrong value of the command line is told as such', (t) => {
  t.deepEqual(
    faults(t, () => agent('', { broker: { listen: '1883' } })),
    ['command line broker.listen: expected host:port, such as "127.0.0.1:1883" or "0.0.0.0:1883", got "1883"'],
  )
})

test('a file that is no map is refused, also under a command line', (t) => {
  for (const text of ['- a', 'text', '3', '[[]]'])
    t.regex(faults(t, () => agent(text))[0]!, /^\/etc\/dunlin\/agent\.yaml:1:1: expected a map, got /, text)
  t.deepEqual(
    faults(t, () => agent('broker: [a]', { broker: { enabled: false } })),
    ['/etc/dunlin/agent.yaml:1:9 broker: expected a map, got a list'],
  )
  t.deepEqual(
    faults(t, () => agent('', { brocker: {} } as never)),
    ['command line brocker: unknown key (did you mean "broker"?)'],
  )
})

test('a password in clear is refused and not shown', (t) => {
  const [fault] = faults(t, () => agent('broker:\n  users: [{name: a, password: hunter2}]'))
  t.regex(fault!, /agent\.yaml:2:31 broker\.users\[0\]\.password: expected a scrypt hash .* got a value not shown here$/)
})

test('users and rules of the broker must fit together', (t) => {
  t.deepEqual(
    faults(t, () =>
      agent(
        `broker:\n  users: [{name: a, password: "${HASH}"}, {name: a, password: "${HASH}"}]\n  acl: [{user: b, publish: ["sensors/%c/#"]}]`,
      ),
    ),
    [
      '/etc/dunlin/agent.yaml:2:129 broker.users[1].name: expected each user once, got "a" again',
      '/etc/dunlin/agent.yaml:3:16 broker.acl[0].user: expected "*" or the name of a user, got "b"',
    ],
  )
})

test('a hub URL is https and holds no password', (t) => {
  t.is(agent('hub: {url: "https://hub:8443/"}').hub.url, 'https://hub:8443')
  for (const url of ['http://hub', 'hub:8443', 'https://user:pass@hub', 'https://hub/?x=1'])
    t.is(faults(t, () => agent(`hub: {url: "${url}"}`)).length, 1, url)
})

test('claimToken and claimTokenFile together are refused without showing the token', (t) => {
  t.deepEqual(
    faults(t, () => agent('hub: {claimToken: abc, claimTokenFile: x}')),
    ['/etc/dunlin/agent.yaml:1:19 hub.claimToken: expected claimToken or claimTokenFile, got both'],
  )
})

test('an empty hub.yaml gives every default', (t) => {
  t.like(parseHubConfig('', 'hub.yaml'), {
    dataDir: '/var/lib/dunlin/hub',
    names: ['localhost', '127.0.0.1'],
    api: { host: '0.0.0.0', port: 8443 },
    gateway: { host: '0.0.0.0', port: 8883 },
    advertise: { host: null, gatewayPort: null },
    log: { level: 'info' },
  })
})

test('the API and the gateway of a hub may not share a port', (t) => {
  t.deepEqual(
    faults(t, () => parseHubConfig('api: h:1\ngateway: h:1', 'hub.yaml')),
    ['hub.yaml:2:10 gateway: expected another port than api, got 1 for both'],
  )
  t.notThrows(() => parseHubConfig('api: h:0\ngateway: h:0', 'hub.yaml'))
})

test('a key written twice is refused with the line of the first', (t) => {
  t.deepEqual(
    faults(t, () => agent('dataDir: a\nlog: {level: info}\ndataDir: b')),
    ['/etc/dunlin/agent.yaml:3:1 dataDir: expected each key once, got it again (first on line 1)'],
  )
})

test('a syntax error is told with its line', (t) => {
  t.regex(faults(t, () => agent('log:\n  level: [info\n'))[0]!, /^\/etc\/dunlin\/agent\.yaml:\d+:\d+: /)
})

test('an unknown tag is refused', (t) => {
  t.deepEqual(
    faults(t, () => agent('dataDir: !env HOME')),
    ['/etc/dunlin/agent.yaml:1:10: Unresolved tag: !env'],
  )
})

test('aliases are followed, and stopped when they multiply', (t) => {
  t.is(agent('dataDir: &d x\nname: *d').name, 'x')
  const levels = Array.from(
    { length: 12 },
    (_, level) =>
      `l${level}: &l${level} [${Array(9)
        .fill(level === 0 ? 'x' : `*l${level - 1}`)
        .join(', ')}]`,
  )
  t.regex(faults(t, () => agent(levels.join('\n')))[0]!, /expected at most 100 aliases/)
})

test('a text nested thousands deep is refused, not a crash', (t) => {
  t.regex(faults(t, () => agent('['.repeat(50_000)))[0]!, /nested/)
  t.regex(faults(t, () => agent(`${'['.repeat(3000)}${']'.repeat(3000)}`))[0]!, /nested|expected a map/)
})

test('a text of more than 1 MiB is refused', (t) => {
  t.deepEqual(
    faults(t, () => agent(`# ${'x'.repeat(1024 * 1024)}`)),
    ['/etc/dunlin/agent.yaml: expected at most 1048576 bytes, got 1048578'],
  )
})

test('keys named as parts of every object are unknown keys', (t) => {
  t.is(faults(t, () => agent('constructor: 1\n__proto__: {dataDir: x}\ntoString: 2')).length, 3)
})

test('the JSON Schemas in the repository are those of the code', (t) => {
  for (const [name, text] of jsonSchemas()) {
    t.is(readFileSync(new URL(`../../config/schemas/${name}`, import.meta.url), 'utf8'), text, `${name} is stale: npm run schemas`)
  }
})

/** An example as it stands, and with every setting that is commented out switched on. */
function example(name: string): { text: string; full: string } {
  const text = readFileSync(new URL(`../../config/${name}`, import.meta.url), 'utf8')
  const settings = text.replace(/^( *)# ((?: {2})*(?:- )?[a-z][A-Za-z]*:(?: .*)?)$/gm, '$1$2')
  return { text, full: settings.replace('users: []', 'users:').replace('scrypt$16384$8$1$...', () => HASH) }
}

test('agent.example.yaml holds the defaults, and its further settings load', (t) => {
  const { text, full } = example('agent.example.yaml')
  t.deepEqual(agent(text), agent(''))
  const config = agent(full)
  t.is(config.name, 'greenhouse-3')
  t.is(config.hub.url, 'https://hub.example.com:8443')
  t.is(config.hub.claimTokenFile, '/etc/dunlin/claim-token')
  t.is(config.functionsDir, '/etc/dunlin/functions')
  t.is(config.broker.tls?.caFile, '/etc/dunlin/sensors-ca.pem')
  t.deepEqual(config.broker.users, [{ name: 'boiler', password: HASH }])
  t.is(config.broker.acl.length, 2)
})

test('hub.example.yaml holds the defaults, and its further settings load', (t) => {
  const { text, full } = example('hub.example.yaml')
  t.deepEqual(parseHubConfig(text, 'hub.yaml'), parseHubConfig('', 'hub.yaml'))
  t.deepEqual(parseHubConfig(full, 'hub.yaml').advertise, { host: 'hub.example.com', gatewayPort: 443 })
})
