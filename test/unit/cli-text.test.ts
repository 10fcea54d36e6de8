/** What the command says: tables, figures, names, the status line. */
import { readFileSync } from 'node:fs'
import test from 'ava'
import type { AgentStatus } from '../../agent/cli/answers.ts'
import { exitCodeOf, Exit, usageError } from '../../agent/cli/exit-codes.ts'
import { Printer } from '../../agent/cli/printer.ts'
import { cut, oneLine, table } from '../../agent/cli/table.ts'
import { tryLines } from '../../agent/cli/try-lines.ts'
import { bytesText, countText, rateText, spanText } from '../../agent/cli/units.ts'
import { derivedConfig, nameOf } from '../../agent/source/function-source.ts'
import { listenText, parseListen } from '../../agent/up/free-port.ts'
import { LiveTerminal } from '../../agent/up/live-terminal.ts'
import { deviceName } from '../../agent/up/settings.ts'
import { StatusLine } from '../../agent/up/status-line.ts'
import { ConfigError } from '../../config/config-error.ts'
import { parseFunctionConfig } from '../../config/function-config.ts'
import { DEVICE_ID_PATTERN, FUNCTION_NAME_PATTERN } from '../../config/wire.ts'
import { DunlinError, InputError } from '../../runtime/base/errors.ts'

test('table aligns text to the left and figures to the right', (t) => {
  t.is(
    table(
      ['NAME', 'COUNT'],
      [
        ['a', 5],
        ['longer', 1000],
        [null, undefined],
      ],
    ),
    'NAME    COUNT\na           5\nlonger   1000\n-           -',
  )
})

test('text from outside cannot steer the terminal', (t) => {
  t.is(oneLine('a\u001b[31mred\u001b[0m\nb\u0007\u009b'), 'ared b??')
})

test('line that is too long is cut to the width', (t) => {
  t.is(cut('abcdef', 4), 'abc…')
  t.is(cut('abcd', 4), 'abcd')
})

test('figures are short', (t) => {
  t.deepEqual([bytesText(0), bytesText(1536), bytesText(250 * 1024 ** 2)], ['0 B', '1.5 KiB', '250 MiB'])
  t.deepEqual([spanText(-5), spanText(90_000), spanText(7_200_000), spanText(10 * 86_400_000)], ['0 s', '90 s', '2 h', '10 d'])
  t.deepEqual([rateText(0), rateText(0.25), rateText(12.4)], ['0/s', '0.3/s', '12/s'])
  t.is(countText(1234567), '1,234,567')
})

test('exit codes follow from error codes', (t) => {
  t.is(exitCodeOf(usageError('x')), Exit.usage)
  t.is(exitCodeOf(new ConfigError([])), Exit.config)
  t.is(exitCodeOf(new InputError('not-permitted', 'x')), Exit.notPermitted)
  t.is(exitCodeOf(new DunlinError('anything', 'x', { retryable: true })), Exit.tryLater)
  t.is(exitCodeOf(new Error('x')), Exit.failed)
})

test('printer colours only on a terminal that wants it', (t) => {
  const paint = (isTTY: boolean, env: Record<string, string>, isJson = false) =>
    new Printer({ out: { write() {}, isTTY }, err: { write() {} }, isJson, env }).paint('red', 'x')
  t.not(paint(true, {}), 'x')
  t.is(paint(true, { NO_COLOR: '1' }), 'x')
  t.is(paint(true, { TERM: 'dumb' }), 'x')
  t.is(paint(false, {}), 'x')
  t.is(paint(true, {}, true), 'x')
})

test('any file name becomes a function name', (t) => {
  t.is(nameOf('My_Func.v2'), 'my-func-v2')
  for (const name of ['---', 'ü', 'A'.repeat(100), '9 lives']) t.regex(nameOf(name), FUNCTION_NAME_PATTERN)
})

test('any host name becomes a device name', (t) => {
  t.is(deviceName('Pi_4.local'), 'pi-4')
  for (const name of ['', '___', 'X'.repeat(99)]) t.regex(deviceName(name), DEVICE_ID_PATTERN)
})

test('config of a bare file answers HTTP under its name', (t) => {
  const { triggers, handler } = parseFunctionConfig(derivedConfig('hello', 'python', 'my file:handler'), 'function.yaml')
  t.is(handler, 'my file:handler')
  t.like(triggers, [{ kind: 'http', paths: ['/hello'] }])
})

test('each trigger has a line that sets it off', (t) => {
  const config = parseFunctionConfig(
    `metadata: {name: x}
spec:
  runtime: python
  triggers:
    a: {kind: mqtt, attributes: {subscriptions: [{topic: a/+/#}]}}
    b: {kind: http}
    c: {kind: cron, attributes: {schedule: "0 * * * *"}}`,
    'function.yaml',
  )
  t.deepEqual(tryLines(config, '127.0.0.1:8081', { host: '127.0.0.1', port: 1884 }), [
    "mosquitto_pub -h 127.0.0.1 -p 1884 -q 1 -t a/x/x -m 'hello'",
    "curl -d 'hello' http://127.0.0.1:8081/x",
    '(it runs by itself: 0 * * * *)',
  ])
  t.regex(tryLines({ ...config, triggers: [] }, '', { host: '', port: 0 })[0]!, /no triggers/)
})

test('listen address is read in every form and refused in others', (t) => {
  t.deepEqual(parseListen('1883', '--x'), { host: '127.0.0.1', port: 1883 })
  t.deepEqual(parseListen('0.0.0.0:0', '--x'), { host: '0.0.0.0', port: 0 })
  t.is(listenText(parseListen('[::1]:80', '--x')), '[::1]:80')
  for (const text of ['', 'host', 'host:', 'host:99999', ':-1'])
    t.throws(() => parseListen(text, '--broker-listen'), { message: /--broker-listen/ })
})

const sample = (uptimeMs: number, count: number, state = 'online') =>
  ({
    uptimeMs,
    link: { state },
    waiting: { inbox: 1, streams: 2 },
    counters: { received: count, handled: count, failed: 0, stored: count, delivered: count },
  }) as AgentStatus

test('status line shows rates of the last seconds, what waits and the link', (t) => {
  const line = new StatusLine()
  t.is(line.text(), 'the agent does not answer')
  for (let second = 0; second <= 20; second++) line.add(sample(second * 1000, second * 10))
  t.is(line.text(), 'in 10/s · handled 10/s · stored 10/s · delivered 10/s (200) · waiting 1+2 · link online')
})

test('status line begins anew when the agent was started again', (t) => {
  const line = new StatusLine()
  line.add(sample(60_000, 5000))
  line.add(sample(1000, 3, 'connecting'))
  t.regex(line.text(), /^in 0\/s .*link connecting$/)
  t.false(line.isOnline)
})

test('live line is drawn anew below what is printed, and cut to the terminal', (t) => {
  const written: string[] = []
  const terminal = new LiveTerminal({ write: (text: string) => written.push(text), isTTY: true, columns: 11 }, { TERM: 'xterm' })
  terminal.status('0123456789abc')
  terminal.print('said')
  terminal.endStatus()
  t.deepEqual(written, ['\r\u001b[2K012345678…', '\r\u001b[2Ksaid\n012345678…', '\n'])
})

test('elsewhere than on a terminal the status is no line of its own every second', (t) => {
  const written: string[] = []
  const terminal = new LiveTerminal({ write: (text: string) => written.push(text) }, {})
  for (let i = 0; i < 5; i++) terminal.status('x')
  terminal.print('said')
  t.deepEqual(written, ['said\n'])
})

test('function.yaml of docs/functions.md is right as it stands', (t) => {
  const page = readFileSync(new URL('../../docs/functions.md', import.meta.url), 'utf8')
  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text!)
  const whole = blocks.find((text) => text.startsWith('apiVersion'))!
  t.deepEqual(parseFunctionConfig(whole, 'function.yaml').notices, [])
})
