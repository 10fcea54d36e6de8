/** The `dunlin` command where nothing runs: help, wrong command lines, wrong configs, exit codes. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import test from 'ava'
import { dunlin } from '../support/cli.ts'
import { tempDir } from '../support/temp-dir.ts'

const VERBS = [
  'up',
  'hub',
  'agent',
  'new',
  'run',
  'test',
  'record',
  'invoke',
  'deploy',
  'get',
  'create',
  'delete',
  'replay',
  'set',
  'promote',
  'move',
  'status',
  'logs',
  'version',
]
/** Verbs that only name what they are about. */
const GROUPS = new Set(['get', 'create', 'delete', 'set', 'move'])

test('dunlin --help names every verb and exits with 0', async (t) => {
  const { code, out } = await dunlin(['--help'])
  t.is(code, 0)
  for (const verb of VERBS) t.regex(out, new RegExp(`^  ${verb}\\b`, 'm'))
})

test('each verb has help with examples', async (t) => {
  const verbs = [
    ...VERBS.filter((verb) => !GROUPS.has(verb)),
    'create claim-token',
    'delete device',
    'delete alias',
    'delete route',
    'set route',
    'move waiting',
    ...['devices', 'functions', 'aliases', 'routes', 'streams', 'events', 'dead-letters'].map((kind) => `get ${kind}`),
  ]
  const answers = await Promise.all(verbs.map((verb) => dunlin([...verb.split(' '), '--help'])))
  for (const [index, { code, out }] of answers.entries()) {
    t.is(code, 0, verbs[index])
    t.true(out.includes(`$ dunlin ${verbs[index]}`), `${verbs[index]} shows no example`)
  }
})

test('unknown verb names the nearest one and exits with 2', async (t) => {
  const { code, err } = await dunlin(['dploy'])
  t.is(code, 2)
  t.regex(err, /unknown command 'dploy'[\s\S]*deploy/)
})

test('unknown option and a figure out of range exit with 2', async (t) => {
  t.is((await dunlin(['status', '--nonsense'])).code, 2)
  const { code, err } = await dunlin(['get', 'events', '--limit', '0'])
  t.is(code, 2)
  t.regex(err, /from 1 to 1000/)
})

test('version as JSON has the versions of dunlin and Node', async (t) => {
  const { code, out } = await dunlin(['version', '-o', 'json'])
  t.is(code, 0)
  t.deepEqual(Object.keys(JSON.parse(out) as object), ['dunlin', 'node', 'platform'])
})

test('every verb that asks a hub or an agent exits with 69 when nothing runs', async (t) => {
  const home = tempDir(t)
  const verbs = [
    ['status'],
    ['get', 'devices'],
    ['get', 'functions'],
    ['get', 'streams'],
    ['get', 'events'],
    ['get', 'dead-letters'],
    ['logs'],
    ['invoke', 'x'],
    ['create', 'claim-token'],
    ['delete', 'device', 'x'],
    ['replay', '1'],
    ['get', 'aliases'],
    ['get', 'routes', 'x'],
    ['set', 'route', 'x', '--alias', 'test'],
    ['delete', 'route', 'x', '--all-routes'],
    ['delete', 'alias', 'x', 'test'],
    ['promote', 'x', 'test'],
    ['move', 'waiting', 'x/a', 'x/b'],
  ]
  for (const { code, err } of await Promise.all(verbs.map((verb) => dunlin([...verb, '--home', home])))) {
    t.is(code, 69)
    t.true(err.startsWith(`dunlin: Nothing is running for ${home}\n`), err)
    t.regex(err, /dunlin up/)
  }
})

test('home of processes that are gone is as one where nothing runs', async (t) => {
  const home = tempDir(t)
  writeFileSync(join(home, 'context.json'), JSON.stringify({ agent: { socket: 'agent/agent.sock' } }))
  t.is((await dunlin(['get', 'dead-letters', '--home', home])).code, 69)
})

test('home is found upwards from the working directory, and DUNLIN_HOME goes before it', async (t) => {
  const folder = tempDir(t)
  const deep = join(folder, 'a/b')
  mkdirSync(deep, { recursive: true })
  mkdirSync(join(folder, '.dunlin'))
  writeFileSync(join(folder, '.dunlin/context.json'), '{"agent":{"socket":"agent.sock"}}')
  t.true((await dunlin(['logs'], { cwd: deep })).err.includes(join(folder, '.dunlin')))
  t.true((await dunlin(['logs'], { cwd: deep, env: { DUNLIN_HOME: join(folder, 'other') } })).err.includes(join(folder, 'other')))
})

test('context.json that does not read exits with 78 and names the file', async (t) => {
  const home = tempDir(t)
  writeFileSync(join(home, 'context.json'), '{')
  const { code, err } = await dunlin(['status', '--home', home])
  t.is(code, 78)
  t.true(err.includes(join(home, 'context.json')))
})

test('config error has its file, line and column, and exits with 78 without a stack trace', async (t) => {
  const folder = tempDir(t)
  writeFileSync(
    join(folder, 'function.yaml'),
    'metadata:\n  name: x\nspec:\n  runtime: python\n  triggers:\n    a:\n      kind: http\n      numWorkers: 0\n',
  )
  const { code, err } = await dunlin(['run', folder])
  t.is(code, 78)
  t.true(err.includes(`${folder}/function.yaml:8:19 spec.triggers.a.numWorkers: expected at least 1, got 0`), err)
  t.false(err.includes('    at '))
  t.regex((await dunlin(['run', folder], { env: { DUNLIN_DEBUG: '1' } })).err, /\n {4}at /)
})

test('run of a file of no known kind exits with 1 and says what is expected', async (t) => {
  const file = join(tempDir(t), 'x.rb')
  writeFileSync(file, '')
  const { code, err } = await dunlin(['run', file])
  t.is(code, 1)
  t.regex(err, /\.py/)
})

test('port that a person named and that is taken exits with 78 and names the setting', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const { code, err } = await dunlin(['up', '--home', join(tempDir(t), 'home'), '--gateway-listen', `127.0.0.1:${port}`])
  t.is(code, 78)
  t.regex(err, /--gateway-listen/)
})
