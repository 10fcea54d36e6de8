import test from 'ava'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { BlobCache } from '../../agent/deploy/blob-cache.ts'
import { TufClient } from '../../agent/deploy/tuf-client.ts'
import { HubHttps } from '../../agent/link/hub-https.ts'
import { codeOf, type DunlinError } from '../../runtime/base/errors.ts'
import { FakeHttps } from '../support/fake-https.ts'
import { call, initialiseTrust, publish, removeFolder, startHub } from '../support/hub.ts'
import { tempDir } from '../support/temp-dir.ts'

const CONTENT = randomBytes(200_000)
const BLOB = { sha256: createHash('sha256').update(CONTENT).digest('hex'), size: CONTENT.length }
const never = new AbortController().signal

async function openRig(t: { teardown(fn: () => unknown): void }) {
  const hub = await FakeHttps.open(t)
  const https = new HubHttps({ url: hub.url, ca: hub.ca.certificate, idleTimeoutMs: 2000 })
  t.teardown(() => https.close())
  const directory = tempDir(t)
  const blobs = new BlobCache(directory, https)
  const ranges: (string | undefined)[] = []
  /** Gives what is asked for of `content`, cut off behind `bytes`. */
  const serve = (content: Buffer, bytes: number = Number.POSITIVE_INFINITY) =>
    hub.answers.set('/device/v1/blobs/', (request, response) => {
      ranges.push(request.headers.range)
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
      const rest = content.subarray(from)
      const range = from > 0 ? { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` } : {}
      response.writeHead(from > 0 ? 206 : 200, { 'content-length': rest.length, ...range })
      if (bytes >= rest.length) return response.end(rest)
      return response.write(rest.subarray(0, bytes), () => setImmediate(() => response.destroy()))
    })
  return { hub, https, blobs, directory, ranges, serve, file: path.join(directory, BLOB.sha256) }
}

test('download cut at many places goes on where it ended and is whole', async (t) => {
  const { blobs, ranges, serve, file } = await openRig(t)
  serve(CONTENT, 30_000)
  let tries = 0
  for (;;) {
    tries++
    const error = await blobs.fetch(BLOB, never).then(
      () => undefined,
      (cause: unknown) => cause as DunlinError,
    )
    if (!error) break
    t.is(error.code, 'hub-unreachable')
    t.true(error.retryable)
    t.false(existsSync(file))
  }
  t.true(tries >= 7 && tries < 20, `${tries}`)
  t.true(ranges.slice(1).every((range) => range !== undefined))
  t.deepEqual(readFileSync(file), CONTENT)
})

test('download that went on behind a changed first part starts anew', async (t) => {
  const { blobs, ranges, serve, file } = await openRig(t)
  writeFileSync(`${file}.part`, randomBytes(50_000))
  serve(CONTENT)
  await blobs.fetch(BLOB, never)
  t.deepEqual(ranges, ['bytes=50000-', undefined])
  t.deepEqual(readFileSync(file), CONTENT)
})

test('download of other content is refused and leaves nothing', async (t) => {
  const { blobs, serve, file } = await openRig(t)
  serve(randomBytes(CONTENT.length))
  t.is(codeOf(await t.throwsAsync(blobs.fetch(BLOB, never))), 'digest-mismatch')
  t.false(existsSync(file))
  t.false(existsSync(`${file}.part`))
})

test('download of endless data is cut off at the size in the manifest', async (t) => {
  const { hub, blobs, file } = await openRig(t)
  let sent = 0
  hub.answers.set('/device/v1/blobs/', (_request, response) => {
    const more = () => {
      while (!response.destroyed && response.write(CONTENT)) sent += CONTENT.length
      if (!response.destroyed) response.once('drain', more)
    }
    response.writeHead(200)
    more()
  })
  t.is(codeOf(await t.throwsAsync(blobs.fetch(BLOB, never))), 'blob-too-long')
  t.false(existsSync(`${file}.part`))
  t.true(sent < 100 * CONTENT.length)
})

test('blob changed on the device is fetched again', async (t) => {
  const { blobs, serve, file } = await openRig(t)
  serve(CONTENT)
  await blobs.fetch(BLOB, never)
  writeFileSync(file, 'changed')
  t.false(await blobs.isWhole(BLOB.sha256))
  await blobs.fetch(BLOB, never)
  t.deepEqual(readFileSync(file), CONTENT)
})

test('download from a hub that stops sending ends by itself', async (t) => {
  const { hub, https, directory } = await openRig(t)
  https.close()
  const impatient = new HubHttps({ url: hub.url, ca: hub.ca.certificate, idleTimeoutMs: 100 })
  t.teardown(() => impatient.close())
  hub.answers.set('/device/v1/blobs/', (_request, response) => void response.writeHead(200).write(CONTENT.subarray(0, 10)))
  const error = await t.throwsAsync<DunlinError>(new BlobCache(directory, impatient).fetch(BLOB, never))
  t.true(error.retryable)
})

test('answer of a busy hub carries how long to wait', async (t) => {
  const { hub, blobs } = await openRig(t)
  hub.answers.set('/device/v1/blobs/', (_request, response) => response.writeHead(503, { 'retry-after': '7' }).end())
  t.like(await t.throwsAsync(blobs.fetch(BLOB, never)), { code: 'hub-status-503', retryable: true, retryAfterMs: 7000 })
})

test('function metadata older than the device has seen is refused, and the newer stays trusted', async (t) => {
  const real = await startHub()
  t.teardown(async () => {
    await real.stop()
    removeFolder(real.dataDir)
  })
  const publisher = await initialiseTrust(real)
  const text = async (name: string) => (await call(real, 'GET', `/v1/tuf/${name}`)).bytes.toString()
  const firstRoot = await text('1.root.json')
  /** All metadata as it is now. */
  const picture = async () => {
    const files = new Map<string, string>()
    const timestamp = await text('timestamp.json')
    files.set('timestamp.json', timestamp)
    const snapshotVersion = JSON.parse(timestamp).signed.meta['snapshot.json'].version as number
    const snapshot = await text(`${snapshotVersion}.snapshot.json`)
    files.set(`${snapshotVersion}.snapshot.json`, snapshot)
    const targetsVersion = JSON.parse(snapshot).signed.meta['targets.json'].version as number
    files.set(`${targetsVersion}.targets.json`, await text(`${targetsVersion}.targets.json`))
    return files
  }
  await publish(real, publisher, 'blink', 1)
  const old = await picture()
  await publish(real, publisher, 'blink', 2)
  const now = await picture()

  const { hub, https } = await openRig(t)
  const directory = path.join(tempDir(t), 'tuf')
  const tuf = new TufClient({ directory, https, firstRoot })
  let shown = now
  hub.answers.set('/device/v1/tuf/', (request, response) => {
    const found = shown.get(path.basename(request.url!))
    response.writeHead(found ? 200 : 404).end(found)
  })
  const codeOfFetch = async () => codeOf(await t.throwsAsync(tuf.fetchManifest('blink', 2, never)))
  t.is(await codeOfFetch(), 'not-found', 'the metadata is trusted; only the target itself is not served here')
  shown = old
  t.is(await codeOfFetch(), 'tuf-rollback')
  t.is(await codeOfFetch(), 'tuf-rollback', 'also the second time')
  const changed = new Map(now)
  for (const [name, content] of now) if (name.endsWith('targets.json')) changed.set(name, content.replace('"length":', '"length": '))
  shown = changed
  t.true(['tuf-invalid', 'not-found'].includes(await codeOfFetch()))
  shown = now
  t.is(await codeOfFetch(), 'not-found')
  t.is(readFileSync(path.join(directory, 'timestamp.json'), 'utf8'), now.get('timestamp.json')!)
  await publish(real, publisher, 'blink', 3)
  const forged = await picture()
  const timestamp = JSON.parse(forged.get('timestamp.json')!)
  timestamp.signed.version += 1
  shown = new Map(forged).set('timestamp.json', JSON.stringify(timestamp))
  t.is(await codeOfFetch(), 'tuf-invalid', 'a changed timestamp has no valid signature')
})
