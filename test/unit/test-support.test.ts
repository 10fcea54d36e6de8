import test from 'ava'
import { AvaSummary } from '../support/ava-summary.ts'
import { findProgram, needs, NEEDS } from '../support/packages.ts'

function summaryOf(report: string, code: number): string {
  const summary = new AvaSummary()
  // In pieces, as a pipe hands it over.
  for (const piece of report.match(/[^]{1,7}/g) ?? []) summary.write(piece)
  return summary.text(code)
}

test('a summary of a good run counts what passed and what was skipped', (t) => {
  t.is(summaryOf('\n  ✔ a › one\n  - a › two\n  ─\n\n  1 test passed\n  1 test skipped\n', 0), '1 passed, 0 failed, 1 skipped')
  t.is(summaryOf('  ✔ one\n  ─\n\n  120 tests passed [12:00:00]', 0), '120 passed, 0 failed')
})

test('a summary of a failed run counts passes too, which ava does not print', (t) => {
  t.is(
    summaryOf('  ✔ one\n  ✔ two (2s)\n  ✘ [fail]: three\n  ─\n\n  1 test failed\n  2 tests skipped\n  1 uncaught exception\n', 1),
    '2 passed, 2 failed, 2 skipped',
  )
  t.is(
    summaryOf('  ─\n\n  2 hooks failed\n  1 known failure\n  3 unhandled rejections\n  2 tests remained pending after a timeout\n', 1),
    '0 passed, 8 failed',
  )
})

test('a summary with colours reads the same', (t) => {
  t.is(summaryOf('  \u001b[32m✔\u001b[39m one\n  \u001b[31m1 test failed\u001b[39m\n', 1), '1 passed, 1 failed')
})

test('a run that ends badly without a failed test counts as a failure', (t) => {
  t.is(summaryOf('  ✘ x.test.ts exited with a non-zero exit code: 3\n  ─\n', 1), '0 passed, 1 failed')
  t.is(summaryOf('', 1), '0 passed, 1 failed')
})

test('a number in the log of a test does not count', (t) => {
  t.is(summaryOf('  ✔ one\n      ℹ 99 tests passed\n99 tests failed\n  ─\n\n  1 test passed\n', 0), '1 passed, 0 failed')
})

test('programs are found in the PATH', (t) => {
  t.regex(findProgram('sh') ?? '', /\/sh$/)
  t.is(findProgram('no-such-program-anywhere'), null)
  t.is(findProgram('..'), null)
})

test('each need has a name of its own', (t) => {
  t.is(new Set(NEEDS.map(({ name }) => name)).size, NEEDS.length)
})

test.serial('a test that needs what is missing is skipped with the reason in its title', (t) => {
  const before = process.env.DUNLIN_TEST_MISSING
  t.teardown(() => {
    if (before === undefined) delete process.env.DUNLIN_TEST_MISSING
    else process.env.DUNLIN_TEST_MISSING = before
  })
  const calls: string[] = []
  const fake = Object.assign((title: string) => void calls.push(title), { skip: (title: string) => void calls.push(`skipped ${title}`) })
  process.env.DUNLIN_TEST_MISSING = 'mosquitto,mount'
  needs(fake as never, 'python3')('runs', () => {})
  needs(fake as never, 'python3', 'mosquitto')('waits', () => {})
  t.deepEqual(calls, ['runs', 'skipped waits [needs mosquitto]'])
})
