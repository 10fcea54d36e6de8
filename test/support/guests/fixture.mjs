/** The fixture function in JavaScript: README.md beside this file says what it does. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'

const died = join(import.meta.dirname, 'died')

export function init_context(context) {
  if (context.function_name === 'init-fails') throw new Error('init has failed')
  if (context.function_name === 'init-dies' && !existsSync(died)) {
    writeFileSync(died, '')
    die()
  }
  context.platform.set_drain_callback(() => {
    console.log('drained')
    if (context.function_name === 'drain-dies') die()
  })
  context.platform.set_termination_callback(() => console.log('terminated'))
}

export function handler(context, event) {
  if (event.path === '/echo') return event.rawBody
  if (event.path === '/describe') return describe(event)
  return run(context, event, event.rawBody.toString())
}

async function run(context, event, script) {
  const answer = []
  const response = { statusCode: 200, headers: {}, contentType: 'text/plain' }
  for (const line of script.split('\n')) {
    const [step, rest] = parted(line)
    const [name, text] = parted(rest)
    if (step === 'emit') context.emit(name, text, { headers: { unit: '°C' } })
    else if (step === 'emits') for (let i = 0; i < Number(text); i++) context.emit(name, String(i))
    else if (step === 'publish') context.publish(name, text, { qos: 1, retain: true })
    else if (step === 'set') context.state.set(name, text)
    else if (step === 'delete') context.state.delete(name)
    else if (step === 'get') answer.push((await context.state.get(name)) ?? '-')
    else if (step === 'fill') context.state.set(name, Buffer.alloc(Number(text), 7))
    else if (step === 'size') answer.push(String((await context.state.get(name)).length))
    else if (step === 'log') context.logger[`${name}With`](text, { celsius: 90, where: 'här' })
    else if (step === 'print') console.log(rest)
    else if (step === 'call') {
      const called = await context.platform.call_function(name, text)
      answer.push(`${called.statusCode} ${called.body}`)
    } else if (step === 'raise') throw new Error(rest)
    else if (step === 'status') response.statusCode = Number(rest)
    else if (step === 'header') response.headers[name] = text
    else if (step === 'type') response.contentType = rest
    else if (step === 'pid') answer.push(String(process.pid))
    else if (step === 'attempt') context.emit(name, String(event.attempt))
    else if (step === 'die' && (event.attempt === 1 || rest === 'always')) die()
    else if (step === 'spin') for (;;);
    else if (step === 'wait') while (!existsSync(rest)) Atomics.wait(CLOCK, 0, 0, 1)
  }
  return new context.Response({ ...response, body: answer.join('\n') })
}

function parted(text) {
  const at = text.indexOf(' ')
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function describe(event) {
  const { id, method, path, url, topic, type, qos, attempt, size, offset } = event
  const fields = { id, content_type: event.contentType, method, path, url, topic, type, type_version: event.typeVersion }
  Object.assign(fields, { order_key: event.orderKey, shard_id: event.shardId, num_shards: event.numShards, offset, qos, attempt, size })
  Object.assign(fields, { boot_id: event.bootId, monotonic_ns: event.monotonicNs, clock_quality: event.clockQuality })
  Object.assign(fields, { retain: Number(event.retain), replayed: Number(event.replayed), time_ms: event.timestamp.getTime() })
  const lines = Object.entries(fields).map(([name, value]) => `${name}=${value}`)
  lines.push(`trigger=${event.trigger.kind}/${event.trigger.name}`)
  for (const [name, value] of Object.entries(event.headers)) lines.push(`header ${name}=${value}`)
  for (const [name, value] of Object.entries(event.fields)) lines.push(`field ${name}=${value}`)
  return lines.join('\n')
}

/** A thread that would kill its process would kill the agent. */
function die() {
  if (isMainThread) process.kill(process.pid, 'SIGKILL')
  process.exit(9)
}

const CLOCK = new Int32Array(new SharedArrayBuffer(4))
