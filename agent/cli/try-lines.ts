import type { FunctionConfig, HttpTriggerConfig, TriggerConfig } from '../../config/function-config.ts'
import type { Listen } from '../../config/listen.ts'
import { DEBUG_PORTS } from '../source/debugged.ts'

/** For each trigger, a line that a person can type to set it off. */
export function tryLines({ name, triggers }: FunctionConfig, http: string, broker: Listen): string[] {
  if (triggers.length === 0) return [`(no triggers: ${name} runs only when it is called by name)`]
  return triggers.map((trigger) => tryLine(trigger, http, broker))
}

function tryLine(trigger: TriggerConfig, http: string, broker: Listen): string {
  switch (trigger.kind) {
    case 'http':
      return `curl -d 'hello' ${urlOf(trigger, http)}${(trigger.paths[0] ?? '/').replace(/:\w+/g, 'x')}`
    case 'mqtt': {
      const topic = (trigger.subscriptions[0]?.topic ?? '#').replaceAll('+', 'x').replace('#', 'x')
      return `mosquitto_pub -h ${broker.host} -p ${broker.port} -q 1 -t ${topic} -m 'hello'`
    }
    case 'cron':
      return `(it runs by itself: ${trigger.schedule ?? `every ${trigger.intervalMs} ms`})`
    case 'file':
      return `echo hello > ${trigger.paths[0]}/${trigger.globs[0]!.replaceAll('**/', '').replaceAll(/\*+/g, 'hello')}`
    case 'serial':
      return `(what comes in at ${trigger.path})`
    case 'kickstart':
      return '(it runs by itself, at the start)'
  }
}

function urlOf({ server }: HttpTriggerConfig, shared: string): string {
  if (server === null) return `http://${shared}`
  const { host, port } = server.listen
  return `${server.tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** How to connect to a function that runs with --inspect. */
export function debuggerLine({ runtime }: FunctionConfig, given: number | true): string {
  const port = given === true ? DEBUG_PORTS[runtime] : given
  switch (runtime) {
    case 'nodejs':
      return `debug: chrome://inspect, or "attach to 127.0.0.1:${port}" in your editor, or node inspect 127.0.0.1:${port}`
    case 'java':
      return `debug: jdb -attach 127.0.0.1:${port}`
    default:
      return `debug: attach your editor to 127.0.0.1:${port} (debugpy); without debugpy, breakpoint() in the handler opens pdb: nc 127.0.0.1 ${port}`
  }
}
