/** A function's log line for people: `12:01:02.123 WARN anomaly  value is far off  {"sensor":"cpu"}`. */
import type { Printer } from './printer.ts'
import { oneLine, printable } from './table.ts'

export interface LogLine {
  readonly time: string | null
  readonly level: string
  readonly function: string | null
  readonly message: string
  readonly fields: unknown
  readonly device?: string
}

export function logText({ time, level, function: name, message, fields, device }: LogLine, printer: Printer): string {
  const colour = level === 'error' ? 'red' : level === 'warn' ? 'yellow' : 'dim'
  const head = [
    printer.paint('dim', time?.slice(11, 23) ?? '-'),
    printer.paint(colour, level.toUpperCase().padEnd(5)),
    ...(device ? [device] : []),
    name ?? 'agent',
  ]
  const rest =
    fields && typeof fields === 'object' && Object.keys(fields).length > 0
      ? `  ${printer.paint('dim', oneLine(JSON.stringify(fields)))}`
      : ''
  // A stack trace keeps its lines, set in so that they are not taken for lines of the log.
  const [first = '', ...more] = message.split('\n').filter((line) => line.trim() !== '')
  return [`${head.join(' ')}  ${oneLine(first)}${rest}`, ...more.map((line) => `    ${printable(line)}`)].join('\n')
}
