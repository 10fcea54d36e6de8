import test, { type ExecutionContext } from 'ava'
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makePrivateFolder, readFileIfThere, readPrivateFile, writeDurably } from '../../runtime/base/durable-file.ts'

const withFolder = test.macro<[string, (t: ExecutionContext, folder: string) => void]>({
  exec(t, _name, run) {
    const folder = mkdtempSync(join(tmpdir(), 'dunlin-durable-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    run(t, folder)
  },
  title: (_, name) => name,
})

test(withFolder, 'durable file is private, replaces the old one whole, and leaves nothing beside it', (t, folder) => {
  const file = join(folder, 'secret')
  writeDurably(file, 'one, which is longer')
  writeDurably(file, 'two')
  t.is(readFileSync(file, 'utf8'), 'two')
  t.is(statSync(file).mode & 0o777, 0o600)
  t.deepEqual(readdirSync(folder), ['secret'])
  t.is(readFileIfThere(join(folder, 'other')), undefined)
})

test(withFolder, 'durable file that cannot be placed leaves nothing behind', (t, folder) => {
  makePrivateFolder(join(folder, 'taken/inside'))
  t.throws(() => writeDurably(join(folder, 'taken'), 'x'))
  t.deepEqual(readdirSync(folder), ['taken'])
})

test(withFolder, 'private folder is made with all above it, and may be there already', (t, folder) => {
  const deep = join(folder, 'a/b/c')
  makePrivateFolder(deep)
  makePrivateFolder(deep)
  for (const path of ['a', 'a/b', 'a/b/c']) t.is(statSync(join(folder, path)).mode & 0o777, 0o700)
})

test(withFolder, 'secret that others may read is refused', (t, folder) => {
  const file = join(folder, 'secret')
  writeDurably(file, 'x')
  t.is(readPrivateFile(file), 'x')
  chmodSync(file, 0o640)
  t.throws(() => readPrivateFile(file), { code: 'secret-not-private' })
})
