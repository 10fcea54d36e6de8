/** What to try next, printed once `dunlin up` runs. */
import { listenText } from './free-port.ts'
import type { Folders, Ports } from './settings.ts'

export function whereToLook(given: { home: string; folders: Folders; ports: Ports; isHomeGiven: boolean; hasExample: boolean }): string {
  const { home, folders, ports, isHomeGiven, hasExample } = given
  // Within the project's own folder the command is reached through npx.
  const dunlin = `${process.env['npm_lifecycle_event'] ? 'npx dunlin' : 'dunlin'}${isHomeGiven ? ` --home ${home}` : ''}`
  const lines: Array<[string, string]> = [
    ['what arrives', `${dunlin} get events --follow`],
    ['how it goes', `${dunlin} status`],
    ...(hasExample ? exampleLines(ports) : []),
    ['your own', `${dunlin} deploy <folder or file>`],
    ['hub API', `https://${listenText(ports.api)}  (docs/hub-api.md)`],
    ['logs', folders.logs],
  ]
  return ['', ...lines.map(([what, how]) => `  ${what.padEnd(13)} ${how}`), '', 'Ctrl-C stops everything.'].join('\n')
}

function exampleLines({ broker, http }: Ports): Array<[string, string]> {
  const at = broker.host === '127.0.0.1' && broker.port === 1883 ? '' : ` -h ${broker.host} -p ${broker.port}`
  return [
    ['a reading', `mosquitto_pub${at} -q 1 -t sensors/kitchen/temperature -m 21.5`],
    ['a call', `curl -d '{"value": 12, "unit": "%"}' http://${listenText(http)}/enrich`],
  ]
}
