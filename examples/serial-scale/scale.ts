/** A line such as "ST,GS,+0012.50kg" (S stable, U unstable) becomes an event of the stream "weighings"; a weight that still moves does not. */
interface Event {
  readonly body: Buffer
  readonly path: string
}
interface Context {
  emit(stream: string, body: unknown): void
  readonly logger: { infoWith(message: string, fields: object): void; warnWith(message: string, fields: object): void }
}

const LINE = /^(ST|US),\w\w,([+-]\d+\.?\d*)(kg|g)$/

export function handler(context: Context, event: Event): void {
  const line = event.body.toString('latin1')
  const [, state, value, unit] = LINE.exec(line) ?? []
  if (state === undefined) return context.logger.warnWith('not a weighing', { line: line.slice(0, 80) })
  if (state !== 'ST') return
  const kg = unit === 'g' ? Number(value) / 1000 : Number(value)
  context.emit('weighings', { port: event.path, kg })
  context.logger.infoWith('weighed', { kg })
}
