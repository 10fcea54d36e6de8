/** The file trigger with real files, a real store and real workers. */
import test, { type ExecutionContext } from 'ava'
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import path from 'node:path'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

interface Folders {
  readonly rig: ProcessorRig
  readonly inbox: string
  readonly done: string
}

const withRig = test.macro(async (t, run: (t: ExecutionContext, folders: Folders) => Promise<void>) => {
  const directory = tempDir(t)
  const inbox = path.join(directory, 'in')
  mkdirSync(inbox)
  const rig = await ProcessorRig.open(directory)
  try {
    await run(t, { rig, inbox, done: path.join(directory, 'done') })
  } finally {
    await rig.close()
  }
})

const spec = (attributes: object) => `
metadata: { name: f }
spec:
  runtime: nodejs
  handler: main:handler
  triggers:
    t: ${JSON.stringify({ kind: 'file', attributes: { stable: '50ms', ...attributes } })}`

const TELL = `[event.headers.event, event.topic, event.headers.body, event.body.toString()].join(' ')`
const telling = (what = TELL) => ({ 'main.mjs': `export const handler = (context, event) => context.emit('out', ${what})` })

const start = (rig: ProcessorRig, attributes: object, files = telling()) => rig.processor.activate(rig.version(spec(attributes), files))
const rowsOf = async (rig: ProcessorRig, count: number) => {
  await rig.until(async () => (await rig.rows('out')).length >= count)
  return (await rig.rows('out')).toSorted()
}

test.serial('file that is made, changed and removed gives an event each, with content and headers', withRig, async (t, { rig, inbox }) => {
  const what = `${TELL} + ' ' + event.path + ' ' + event.headers.name + ' ' + event.headers.size`
  await start(rig, { paths: [inbox], events: ['create', 'change', 'delete'] }, telling(what))
  const file = path.join(inbox, 'a.txt')
  writeFileSync(file, 'one')
  t.deepEqual(await rowsOf(rig, 1), [`create a.txt content one ${file} a.txt 3`])
  appendFileSync(file, '+two')
  t.is((await rowsOf(rig, 2))[0], `change a.txt content one+two ${file} a.txt 7`)
  rmSync(file)
  t.is((await rowsOf(rig, 3))[2], `delete a.txt none  ${file} a.txt undefined`)
})

test.serial('file that is written in parts is given once, when it is whole', withRig, async (t, { rig, inbox }) => {
  await start(rig, { paths: [inbox], stable: '300ms' })
  const file = openSync(path.join(inbox, 'slow'), 'w')
  for (let part = 0; part < 10; part++) {
    writeSync(file, `${part}`)
    const since = performance.now()
    await rig.until(() => performance.now() - since > 60)
  }
  closeSync(file)
  t.deepEqual(await rowsOf(rig, 1), ['create slow content 0123456789'])
})

test.serial('file that is renamed into place is given at first sight with stable 0s', withRig, async (t, { rig, inbox, done }) => {
  mkdirSync(done)
  await start(rig, { paths: [inbox], stable: '0s', glob: '*.csv' })
  writeFileSync(path.join(inbox, '.a.csv.part'), 'half')
  writeFileSync(path.join(done, 'x'), 'whole')
  renameSync(path.join(done, 'x'), path.join(inbox, 'a.csv'))
  t.deepEqual(await rowsOf(rig, 1), ['create a.csv content whole'])
})

test.serial('file glob decides which files and folders are seen', withRig, async (t, { rig, inbox }) => {
  mkdirSync(path.join(inbox, 'sub/deep'), { recursive: true })
  for (const name of ['a.csv', 'a.txt', '.hidden.csv', 'sub/b.csv', 'sub/deep/c.json']) writeFileSync(path.join(inbox, name), name)
  await start(rig, { paths: [inbox], glob: ['*.csv', 'sub/**/*.{json,xml}'] })
  writeFileSync(path.join(inbox, 'sub/deep/d.xml'), 'd')
  t.deepEqual(await rowsOf(rig, 3), [
    'create a.csv content a.csv',
    'create sub/deep/c.json content sub/deep/c.json',
    'create sub/deep/d.xml content d',
  ])
})

test.serial(
  'files that were given are not given again after a restart, those that came meanwhile are',
  withRig,
  async (t, { rig, inbox }) => {
    const attributes = { paths: [inbox], events: ['create', 'change', 'delete'] }
    for (const name of ['a', 'b', 'c']) writeFileSync(path.join(inbox, name), name)
    await start(rig, attributes)
    await rowsOf(rig, 3)
    await rig.processor.deactivate('f', 1_000)
    writeFileSync(path.join(inbox, 'd'), 'd')
    appendFileSync(path.join(inbox, 'b'), 'b')
    rmSync(path.join(inbox, 'c'))
    await start(rig, attributes)
    t.deepEqual(await rowsOf(rig, 6), [
      'change b content bb',
      'create a content a',
      'create b content b',
      'create c content c',
      'create d content d',
      'delete c none ',
    ])
  },
)

test.serial('files of the start are left alone with initial: false, and seen when they change', withRig, async (t, { rig, inbox }) => {
  writeFileSync(path.join(inbox, 'old'), 'old')
  await start(rig, { paths: [inbox], initial: false })
  writeFileSync(path.join(inbox, 'new'), 'new')
  t.deepEqual(await rowsOf(rig, 1), ['create new content new'])
  appendFileSync(path.join(inbox, 'old'), '+')
  t.deepEqual(await rowsOf(rig, 2), ['change old content old+', 'create new content new'])
})

test.serial('file is moved when its event is committed, and never over another one', withRig, async (t, { rig, inbox, done }) => {
  mkdirSync(done)
  writeFileSync(path.join(done, 'a.csv'), 'older')
  await start(rig, { paths: [inbox], after: 'move', moveTo: done })
  writeFileSync(path.join(inbox, 'a.csv'), 'one')
  await rig.until(() => existsSync(path.join(done, 'a-1.csv')))
  writeFileSync(path.join(inbox, 'a.csv'), 'two')
  await rig.until(() => existsSync(path.join(done, 'a-2.csv')))
  await rig.until(() => readdirSync(inbox).length === 0)
  t.deepEqual(
    ['a.csv', 'a-1.csv', 'a-2.csv'].map((name) => readFileSync(path.join(done, name), 'utf8')),
    ['older', 'one', 'two'],
  )
  t.deepEqual(await rowsOf(rig, 2), ['create a.csv content one', 'create a.csv content two'])
})

test.serial('file is moved below the folder that is watched, and does not come again', withRig, async (t, { rig, inbox }) => {
  const done = path.join(inbox, 'done')
  await start(rig, { paths: [inbox], glob: '**/*', after: 'move', moveTo: done })
  writeFileSync(path.join(inbox, 'a'), 'a')
  await rig.until(() => existsSync(path.join(done, 'a')))
  writeFileSync(path.join(inbox, 'b'), 'b')
  await rig.until(() => existsSync(path.join(done, 'b')))
  t.deepEqual(await rowsOf(rig, 2), ['create a content a', 'create b content b'])
})

test.serial('file is removed when its event is committed', withRig, async (t, { rig, inbox }) => {
  writeFileSync(path.join(inbox, 'a'), 'a')
  await start(rig, { paths: [inbox], after: 'delete' })
  await rig.until(() => !existsSync(path.join(inbox, 'a')))
  t.deepEqual(await rowsOf(rig, 1), ['create a content a'])
})

test.serial('file larger than maxBodySize gives an event without its content, and says so', withRig, async (t, { rig, inbox }) => {
  writeFileSync(path.join(inbox, 'big'), Buffer.alloc(1001))
  await start(rig, { paths: [inbox], maxBodySize: '1kB' })
  t.deepEqual(await rowsOf(rig, 1), ['create big too-large '])
})

test.serial('file events have the path as body, or none', withRig, async (t, { rig, inbox }) => {
  writeFileSync(path.join(inbox, 'a'), 'a')
  await start(rig, { paths: [inbox], body: 'path' })
  t.deepEqual(await rowsOf(rig, 1), [`create a path ${inbox}/a`])
})

test.serial('file links are not followed', withRig, async (t, { rig, inbox, done }) => {
  mkdirSync(done)
  writeFileSync(path.join(done, 'secret'), 'secret')
  symlinkSync(path.join(done, 'secret'), path.join(inbox, 'link'))
  symlinkSync(done, path.join(inbox, 'folder'))
  await start(rig, { paths: [inbox], glob: '**/*' })
  writeFileSync(path.join(inbox, 'z'), 'z')
  t.deepEqual(await rowsOf(rig, 1), ['create z content z'])
  const linked = path.join(inbox, 'folder')
  await t.throwsAsync(start(rig, { paths: [linked] }), { code: 'file-folder' })
})

test.serial('folder that is not there is waited for, and waited for again when it goes', withRig, async (t, { rig, inbox }) => {
  rmSync(inbox, { recursive: true })
  await start(rig, { paths: [inbox] })
  mkdirSync(inbox)
  writeFileSync(path.join(inbox, 'a'), 'a')
  await rowsOf(rig, 1)
  rmSync(inbox, { recursive: true })
  mkdirSync(inbox)
  writeFileSync(path.join(inbox, 'b'), 'b')
  t.deepEqual(await rowsOf(rig, 2), ['create a content a', 'create b content b'])
})
