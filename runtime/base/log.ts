import pino from 'pino'

/** What every part of Dunlin takes to log with: pino's shape. Never pass secrets in `fields`. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(fields: object): Logger
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** JSON lines on stderr (stdout belongs to what a command prints), written synchronously: the last line before a crash is the one that matters. */
export function openLogger(options: { level: LogLevel; name: string; destination?: NodeJS.WritableStream }): Logger {
  return pino(
    { level: options.level, name: options.name, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    options.destination ?? pino.destination({ dest: 2, sync: true }),
  )
}

/** Says nothing; for tests and libraries without a logger. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child() {
    return silentLogger
  },
}
