/** Holds the source tree to the table of who may import whom (CONTRIBUTING.md), and proves that each rule can fail. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import {
  brokenImports,
  cycles,
  forbiddenImports,
  isSource,
  looseVersions,
  registryFaults,
  reminders,
  undeclaredPackages,
  type PackageJson,
  type Tree,
} from './support/architecture.ts'
import { importsOf } from './support/imports.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** What is, or could be, in the repository: everything git does not ignore. */
function projectTree(): Tree {
  const listed = execFileSync('git', ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  })
  const files = listed
    .split('\0')
    .filter((file) => file !== '' && /\.(ts|js|mjs|json|md|ya?ml|py|sh|html|css)$|(^|\/)[^.]+$/.test(file) && existsSync(root + file))
  return new Map(files.map((file) => [file, readFileSync(root + file, 'utf8')]))
}

const tree = projectTree()
const packageJson = JSON.parse(tree.get('package.json')!) as PackageJson
const treeOf = (files: Record<string, string>): Tree => new Map(Object.entries(files))

test('the project is found', (t) => {
  t.true([...tree.keys()].filter(isSource).length > 20)
})

test('the project imports only what the table allows', (t) => {
  t.deepEqual(forbiddenImports(tree), [])
})

test('the project imports only files that are there', (t) => {
  t.deepEqual(brokenImports(tree), [])
})

test('the project has no import cycle', (t) => {
  t.deepEqual(cycles(tree), [])
})

test('each registry of the project lists every kind', (t) => {
  t.deepEqual(registryFaults(tree), [])
})

test('the project declares every package it imports, at an exact version', (t) => {
  t.deepEqual(undeclaredPackages(tree, packageJson), [])
  t.deepEqual(looseVersions(packageJson), [])
})

test('the project leaves no reminders in its files', (t) => {
  t.deepEqual(reminders(new Map([...tree].filter(([file]) => file !== 'package-lock.json'))), [])
})

test('imports are found in every form', (t) => {
  const found = importsOf(`
    import a from './a.ts'
    import { b, type B } from "./b.ts"
    import type { C } from './c.ts'
    import * as d from './d.ts'
    import './e.ts'
    export * from './f.ts'
    export type * from './g.ts'
    export { h } from './h.ts'
    export * as i from './i.ts'
    import j, {
      k,
    } from './j.ts'
    const l = await import('./l.ts')
    type M = typeof import('./m.ts')
    import type from './n.ts'
  `)
  t.deepEqual(
    found.map(({ specifier, typeOnly, dynamic }) => `${specifier.slice(2, 3)}${typeOnly ? ' type' : ''}${dynamic ? ' lazy' : ''}`),
    ['a', 'b', 'c type', 'd', 'e', 'f', 'g type', 'h', 'i', 'j', 'l lazy', 'm type lazy', 'n'],
  )
  t.is(found[9]!.line, 11)
})

test('imports that only look like it are not found', (t) => {
  const found = importsOf(
    [
      "// import './a.ts'",
      "/* import './b.ts' */",
      'const c = "import \'./c.ts\'"',
      "const d = `import './d.ts' ${e + `import './e.ts'`} import './f.ts'`",
      "const g = /import '.\\/g.ts'[/'`]/",
      'export const from = "./h.ts"',
      "const i = { import: './i.ts', from: './j.ts' }",
      "export default from + './k.ts'",
      'await import(name)',
      'await import(`./l.ts`)',
      "x.import('./m.ts')",
      'import.meta.url',
      "const n = a / b; import './found.ts' // /",
    ].join('\n'),
  )
  t.deepEqual(found, [{ specifier: './found.ts', line: 13, typeOnly: false, dynamic: false }])
})

test('imports inside a template expression are found', (t) => {
  t.deepEqual(
    importsOf("const a = `x ${await import('./a.ts')} y ${{ b: {} }.b} z`; import './c.ts'").map(({ specifier }) => specifier),
    ['./a.ts', './c.ts'],
  )
})

test('a slash after a value divides, and after anything else begins a regular expression', (t) => {
  const found = importsOf("const a = `${b! / 2}`; const c = d[0]! / (e) / f; const g = !/`/.test(h) && /'/; return /\"/; import('./a.ts')")
  t.deepEqual(
    found.map(({ specifier }) => specifier),
    ['./a.ts'],
  )
})

test('a forbidden import is reported with its line, a type import too', (t) => {
  const made = treeOf({
    'config/a.ts': "\nimport { b } from '../runtime/b.ts'",
    'runtime/b.ts': "import type { C } from '../adapters/c.ts'",
    'adapters/c.ts': "import '../runtime/b.ts'; import '../config/a.ts'; import '../agent/d.ts'",
    'agent/d.ts': "const e = import('../hub/e.ts')",
    'hub/e.ts':
      "import '../runtime/store/x.ts'; import '../runtime/base/x.ts'; import '../adapters/broker/x.ts'; import '../adapters/triggers/x.ts'; import '../adapters/exports/x.ts'",
    'test/f.ts': "import '../hub/e.ts'; import '../agent/d.ts'",
  })
  t.deepEqual(
    forbiddenImports(made).map((text) => text.split(':').slice(0, 2).join(':')),
    [
      'config/a.ts:2 imports ../runtime/b.ts',
      'runtime/b.ts:1 imports adapters/c.ts',
      'adapters/c.ts:1 imports agent/d.ts',
      'agent/d.ts:1 imports hub/e.ts',
      'hub/e.ts:1 imports runtime/store/x.ts',
      'hub/e.ts:1 imports adapters/triggers/x.ts',
    ].map((text) => text.replace('../', '')),
  )
})

test('an import of a missing file is reported', (t) => {
  t.deepEqual(brokenImports(treeOf({ 'config/a.ts': "import './b.ts'" })), ['config/a.ts:1 imports config/b.ts: there is no such file'])
})

test('a cycle is reported once and whole, and types and lazy imports make none', (t) => {
  const made = treeOf({
    'config/a.ts': "import './b.ts'",
    'config/b.ts': "import './c.ts'",
    'config/c.ts': "import './a.ts'",
    'config/d.ts': "import './a.ts'; import './e.ts'",
    'config/e.ts': "import type { D } from './d.ts'; const d = () => import('./d.ts')",
  })
  t.deepEqual(cycles(made), ['config/a.ts -> config/b.ts -> config/c.ts -> config/a.ts'])
})

test('a kind that its registry does not list is reported', (t) => {
  const registry = "export const kinds = { mqtt: () => import('./mqtt.ts'), http: () => import('./http/http.ts') }"
  const made = {
    'adapters/triggers/registry.ts': registry,
    'adapters/triggers/mqtt.ts': "import './topics.ts'",
    'adapters/triggers/topics.ts': '',
    'adapters/triggers/http/http.ts': "import './server.ts'; new URL('./thread.ts', import.meta.url)",
    'adapters/triggers/http/server.ts': '',
    'adapters/triggers/http/thread.ts': '',
  }
  t.deepEqual(registryFaults(treeOf(made)), [])
  t.deepEqual(registryFaults(treeOf({ ...made, 'adapters/triggers/cron.ts': '', 'test/x.ts': "import '../adapters/triggers/cron.ts'" })), [
    'adapters/triggers/registry.ts does not list adapters/triggers/cron.ts, and nothing else imports it',
  ])
  t.deepEqual(registryFaults(treeOf({ ...made, 'adapters/triggers/registry.ts': `${registry}\nimport './mqtt.ts'` })), [
    'adapters/triggers/registry.ts:2 imports ./mqtt.ts at once: a kind is imported when it is used',
  ])
})

test('a package that is not declared, or only for development, is reported', (t) => {
  const made = treeOf({
    'agent/a.ts': "import 'pino'; import 'ava'; import '@x/y/z'; import 'node:fs'; import type { T } from 'ava'",
    'test/b.ts': "import 'ava'",
  })
  t.deepEqual(undeclaredPackages(made, { dependencies: { pino: '1.0.0' }, devDependencies: { ava: '1.0.0' } }), [
    'agent/a.ts:1 imports ava: it is a devDependency, and this file runs on devices',
    'agent/a.ts:1 imports @x/y: package.json does not name it',
  ])
})

test('a version that is not exact is reported', (t) => {
  t.deepEqual(looseVersions({ dependencies: { a: '1.0.0', b: '^1.0.0', c: '1.0.0-rc.1', d: 'latest' } }), [
    'b: ^1.0.0 is no exact version',
    'd: latest is no exact version',
  ])
})

test('a reminder is reported', (t) => {
  t.deepEqual(reminders(treeOf({ 'a.ts': `x\n// ${'TO'}${'DO'}: later` })), [`a.ts:2 // ${'TO'}${'DO'}: later`])
})
