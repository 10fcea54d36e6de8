/** What a random program does, in JavaScript. The body of an event says it: id|behaviour|times|emits (random-handlers.ts). */
const { spawn } = require('node:child_process')

const kept = []
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const spin = (ms) => {
  for (const until = performance.now() + ms; performance.now() < until;);
}

/** What fails; `context` has the rows of the attempt already. */
const FAULTS = {
  throw: () => {
    throw new TypeError('as asked')
  },
  reject: async () => {
    await wait(3)
    throw new Error('later, as asked')
  },
  rejectWithNothing: () => Promise.reject(),
  throwText: () => {
    throw 'text'
  },
  hang: () => new Promise(() => {}),
  busy: () => {
    for (;;);
  },
  exit0: () => process.exit(0),
  exit3: async () => {
    await wait(2)
    process.exit(3)
  },
  kill: async () => {
    process.kill(process.pid, 'SIGKILL')
    await wait(60_000)
  },
  uncaught: () => {
    setTimeout(() => {
      throw new Error('uncaught, as asked')
    }, 1)
    return new Promise(() => {})
  },
  leak: async () => {
    for (;;) {
      kept.push(Buffer.alloc(1 << 20, 7))
      await wait(1)
    }
  },
  cyclic: () => {
    const value = {}
    value.self = value
    return value
  },
  bigint: () => ({ value: 1n }),
  wrongStatus: (context) => new context.Response({ body: 'x', statusCode: 7 }),
  largeEmit: (context) => context.emit('random', Buffer.alloc(4 << 20)),
  longKey: (context) => context.state.set('k'.repeat(70_000), 'v'),
  tooManyOperations: async (context) => {
    for (let i = 0; i < 10_050; i++) context.state.set('n', String(i))
    await wait(60_000)
  },
}

/** What is odd, and ends well. */
const ODDITIES = {
  ok: () => {},
  wait: () => wait(150),
  spin: () => spin(150),
  garbage: () => {
    process.stdout.write(Buffer.from(Array.from({ length: 40_000 }, (_, i) => (i * 7919) & 255)))
    process.stderr.write('x'.repeat(100_000))
  },
  logFlood: (context) => {
    for (let i = 0; i < 2_000; i++) context.logger.info(`line ${i}`)
  },
  callbackTwice: (context) => {
    context.callback('first')
    context.callback('second')
  },
  callbackThenThrow: (context) => {
    context.callback('first')
    throw new Error('after the answer')
  },
  lateOperations: (context) => {
    setTimeout(() => {
      for (const act of [() => context.emit('random', 'late'), () => context.state.set('late', '1')]) {
        try {
          act()
        } catch {
          // Refused, as it should be: the event is answered.
        }
      }
    }, 2)
  },
  symbol: () => Symbol('s'),
  callable: () => () => {},
  hugeAnswer: () => Buffer.alloc(3 << 20, 97),
  fork: () => void spawn('sleep', ['300'], { stdio: 'inherit' }),
  doubleFork: () =>
    void spawn('sh', ['-c', 'setsid sleep 300 & setsid sh -c "sleep 300 & sleep 300" &'], { stdio: 'ignore', detached: true }),
}

/** What answers well and does harm later: others in the same worker may pay for it with an attempt. */
const LATE = {
  exitLate: () => void setTimeout(() => process.exit(1), 1),
  throwLate: () => void setTimeout(() => JSON.parse('{'), 1),
  rejectLate: () => void wait(1).then(() => JSON.parse('{')),
}

exports.handler = async (context, event) => {
  const [id, behaviour, times, emits] = event.body.toString().split('|')
  for (let i = 0; i < Number(emits); i++) context.emit('random', `${id}#${event.attempt}#${i}`)
  context.state.set('last', id)
  if (behaviour in FAULTS) return event.attempt <= Number(times) ? await FAULTS[behaviour](context) : id
  return (await (ODDITIES[behaviour] ?? LATE[behaviour])(context)) ?? id
}
