import test from 'ava'
import { pathProblems, readManifest } from '../../agent/deploy/manifest.ts'
import type { TrustError } from '../../runtime/base/errors.ts'

const SHA = 'a'.repeat(64)

function manifest(paths: string[], more: object = {}): string {
  const files = paths.map((path) => ({ path, size: 1, sha256: SHA }))
  return JSON.stringify({ dunlin: 1, name: 'blink', version: 3, config: paths[0], files, ...more })
}

test('manifest that is whole reads', (t) => {
  t.is(readManifest(manifest(['function.yaml', 'src/ä b.py', '.hidden', 'a/b/c']), 'blink', 3).files.length, 4)
})

for (const path of [
  '/etc/passwd',
  '../x',
  'a/../../x',
  './x',
  'a//b',
  'a/',
  '',
  '.',
  '..',
  'a\\b',
  'a\0b',
  'a\nb',
  'C:\\x',
  '\ud800',
  `${'x'.repeat(256)}`,
]) {
  test(`manifest with the path ${JSON.stringify(path).slice(0, 40)} is refused`, (t) => {
    const error = t.throws<TrustError>(() => readManifest(manifest(['function.yaml', path]), 'blink', 3))
    t.is(error?.code, 'manifest-invalid')
  })
}

test('manifest with paths that fall together on some file system is refused', (t) => {
  t.is(pathProblems(['a', 'b', 'a']).length, 1)
  t.is(pathProblems(['Readme', 'README']).length, 1)
  t.is(pathProblems(['caf\u00e9', 'cafe\u0301']).length, 1)
  t.is(pathProblems(['a', 'a/b']).length, 1)
  t.is(pathProblems(['A/b', 'a/c']).length, 0)
})

test('manifest of another function, another version or without its config is refused with the reason', (t) => {
  t.regex(t.throws(() => readManifest(manifest(['f.yaml']), 'other', 3)).message, /it is of blink version 3/)
  t.regex(t.throws(() => readManifest(manifest(['f.yaml']), 'blink', 4)).message, /it is of blink version 3/)
  t.regex(t.throws(() => readManifest(manifest(['f.yaml'], { config: 'g.yaml' }), 'blink', 3)).message, /g\.yaml is not among its files/)
  t.regex(t.throws(() => readManifest('{', 'blink', 3)).message, /Cannot use the manifest/)
})

test('manifest with an unknown key or a digest that is none is refused', (t) => {
  t.throws(() => readManifest(manifest(['f.yaml'], { more: 1 }), 'blink', 3), { code: 'manifest-invalid' })
  t.throws(() => readManifest(manifest(['f.yaml'], { files: [{ path: 'f.yaml', size: 1, sha256: '../../etc' }] }), 'blink', 3), {
    code: 'manifest-invalid',
  })
})
