import test from 'ava'
import { guess } from '../../config/guess.ts'
import { hashPassword, isPasswordHash, verifyPassword } from '../../config/password.ts'
import { splitArguments } from '../../config/split-arguments.ts'
import { formatDuration, formatSize, parseDurationMs, parseSizeBytes } from '../../config/units.ts'

test('durations are read as Go writes them', (t) => {
  const given = ['20s', '500ms', '1m30s', '1.5h', '2d', '0s', '1us', '1µs', '0.1s', '300ms', '1h0m0s']
  t.deepEqual(given.map(parseDurationMs), [20_000, 500, 90_000, 5_400_000, 172_800_000, 0, 1, 1, 100, 300, 3_600_000])
})

test('what is no duration is not taken for one', (t) => {
  for (const text of ['', '20', 's', '-1s', '1 s', '1s ', '1x', '1e3s', '.5s', '1S']) t.is(parseDurationMs(text), Number.NaN, text)
})

test('sizes are read in powers of 1000 and of 1024', (t) => {
  t.deepEqual(['64MiB', '1kB', '1 KiB', '1.5GiB', '0B', '2TB'].map(parseSizeBytes), [67_108_864, 1000, 1024, 1_610_612_736, 0, 2e12])
  for (const text of ['', '64', 'MiB', '-1MiB', '1Mib', '1 MiB x']) t.is(parseSizeBytes(text), Number.NaN, text)
})

test('durations and sizes are written in their largest whole unit', (t) => {
  t.deepEqual([90_000, 86_400_000, 1500, 0].map(formatDuration), ['90s', '1d', '1500ms', '0ms'])
  t.deepEqual([1024, 67_108_864, 1000, 0].map(formatSize), ['1KiB', '64MiB', '1000B', '0B'])
})

test('a slip is guessed, another word is not', (t) => {
  const known = ['numWorkers', 'kind', 'attributes', 'delivery']
  t.deepEqual(
    ['numWorker', 'numworkers', 'kidn', 'atributes', 'dilevery', 'colour', 'x'].map((word) => guess(word, known)),
    ['numWorkers', 'numWorkers', 'kind', 'attributes', 'delivery', null, null],
  )
})

test('shell arguments keep quoted words together and give nothing else a meaning', (t) => {
  t.deepEqual(splitArguments(` a  "b c" 'd "e' f"g h"i $X;rm `), ['a', 'b c', 'd "e', 'fg hi', '$X;rm'])
  t.deepEqual(splitArguments(''), [])
})

test('a password fits its hash and no other', async (t) => {
  const hash = await hashPassword('correct horse')
  t.regex(hash, /^scrypt\$16384\$8\$1\$/)
  t.true(isPasswordHash(hash))
  t.true(await verifyPassword('correct horse', hash))
  t.false(await verifyPassword('correct horsf', hash))
  t.not(await hashPassword('correct horse'), hash)
})

test('a hash that is broken or asks for too much lets nobody in', async (t) => {
  const rest = `${Buffer.alloc(16).toString('base64')}$${Buffer.alloc(32).toString('base64')}`
  for (const stored of [
    '',
    'secret',
    `scrypt$16384$8$${rest}`,
    `scrypt$16383$8$1$${rest}`,
    `scrypt$1048576$32$1$${rest}`,
    `scrypt$1024$0$1$${rest}`,
    `scrypt$1024$8$99$${rest}`,
  ]) {
    t.false(isPasswordHash(stored), stored)
    t.false(await verifyPassword('secret', stored), stored)
  }
})
