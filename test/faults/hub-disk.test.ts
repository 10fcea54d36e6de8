/** The disk under the hub's database is full or fails: nothing is acknowledged that is not there. */
import test, { type ExecutionContext } from 'ava'
import { join } from 'node:path'
import { HubDatabase } from '../../hub/database/hub-database.ts'
import { GroupCommit, type Item } from '../../hub/ingest/group-commit.ts'
import { removeFolder, temporaryFolder } from '../support/hub.ts'

interface Outcome {
  readonly subject: string
  readonly error: Error | null
}

class Rig {
  readonly folder = temporaryFolder()
  readonly database = HubDatabase.open(join(this.folder, 'hub.db'))
  readonly broken: Error[] = []
  readonly commit = new GroupCommit(this.database, { onBroken: (error) => this.broken.push(error) })
  readonly outcomes: Outcome[] = []

  push(subject: string, run: () => void = () => this.write(subject)): void {
    const item: Item = { bytes: 1, run, done: (error) => this.outcomes.push({ subject, error }) }
    this.commit.push(item)
  }

  write(subject: string, bytes = 10): void {
    const row = { time_ms: 0, actor: 'test', action: 'test', subject, detail: 'x'.repeat(bytes) }
    this.database.run(this.database.query.insertInto('audit').values(row))
  }

  stored(): string[] {
    return this.database.all(this.database.query.selectFrom('audit').select('subject').orderBy('id')).map(({ subject }) => subject)
  }

  confirmed(): string[] {
    return this.outcomes.filter(({ error }) => error === null).map(({ subject }) => subject)
  }

  close(): void {
    this.database.close()
    removeFolder(this.folder)
  }
}

const withRig = test.macro<[string, (t: ExecutionContext, rig: Rig) => void]>({
  exec(t, _name, run) {
    const rig = new Rig()
    t.teardown(() => rig.close())
    run(t, rig)
  },
  title: (_, name) => name,
})

test(withRig, 'hub with a full disk refuses what does not fit, keeps what it confirmed, and goes on when there is room', (t, rig) => {
  const pages = Number(rig.database.raw.pragma('page_count', { simple: true }))
  rig.database.raw.pragma(`max_page_count = ${pages + 4}`)
  for (let i = 0; i < 10; i++) rig.push(`large ${i}`, () => rig.write(`large ${i}`, 8000))
  rig.push('small')
  rig.commit.flush()
  t.is(rig.outcomes.length, 11)
  const refused = rig.outcomes.filter(({ error }) => error !== null)
  t.true(refused.length > 0 && refused.length < 10)
  for (const { error } of refused) t.is((error as { code?: string }).code, 'SQLITE_FULL')
  t.deepEqual(rig.stored(), rig.confirmed())
  rig.database.raw.pragma(`max_page_count = ${pages + 100}`)
  rig.push('later', () => rig.write('later', 8000))
  rig.commit.flush()
  t.true(rig.confirmed().includes('later'))
  t.deepEqual(rig.stored(), rig.confirmed())
  t.deepEqual(rig.broken, [])
})

test(withRig, 'item that fails takes nobody of its group with it', (t, rig) => {
  rig.push('first')
  rig.push('bad', () => {
    rig.write('bad')
    throw new Error('no')
  })
  rig.push('last')
  rig.commit.flush()
  t.deepEqual(rig.stored(), ['first', 'last'])
  t.deepEqual(rig.confirmed(), ['first', 'last'])
})

test(withRig, 'fsync that failed is not tried again: all of the group is refused, and all that comes later', (t, rig) => {
  const failure = Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR_FSYNC' })
  rig.push('first')
  rig.push('broken', () => {
    throw failure
  })
  rig.commit.flush()
  rig.push('later')
  rig.commit.flush()
  t.deepEqual(rig.confirmed(), [])
  t.deepEqual(rig.stored(), [])
  t.deepEqual(rig.broken, [failure])
})

test(withRig, 'more than may wait is refused at once', (t, rig) => {
  const large: Item = {
    bytes: 40 * 1024 * 1024,
    run: () => rig.write('large'),
    done: (error) => rig.outcomes.push({ subject: 'large', error }),
  }
  rig.commit.push(large)
  rig.commit.push(large)
  t.is(rig.outcomes.length, 1)
  t.is((rig.outcomes[0]!.error as { code?: string }).code, 'hub-busy')
  rig.commit.flush()
  t.deepEqual(rig.stored(), ['large'])
})
