/**
 * The example functions on the device. They are deployed when their content is another than what was deployed last, so that what
 * somebody else has deployed or removed since stays as it is.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sleep } from '../../runtime/base/backoff.ts'
import { readFileIfThere, writeDurably } from '../../runtime/base/durable-file.ts'
import { ownModule } from '../../runtime/base/own-module.ts'
import type { HubDevice } from '../cli/answers.ts'
import type { HubClient } from '../cli/hub-client.ts'
import { publishFunction } from '../cli/publish.ts'
import { readBundle } from '../publisher/bundle.ts'
import { openFunctionSource } from '../source/function-source.ts'

export const SENSORS = fileURLToPath(ownModule(import.meta.url, '../../examples/host-sensors/sensors'))
const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url))
/** In this order: the first one shows something at once, and a device tries one new function after the other. */
export const EXAMPLE_FUNCTIONS = ['anomaly', 'enrich', 'alert']
const POLL_MS = 200

export interface ExampleRelease {
  readonly functions: ReadonlyArray<{ readonly name: string; readonly version: number }>
  /** Gives them to a device, and remembers that. */
  assign(device: string): Promise<void>
}

async function knows(hub: HubClient, device: string, name: string): Promise<boolean> {
  const { reported } = (await hub.get(`/v1/devices/${device}`)) as HubDevice
  return reported?.functions.some((fn) => fn.name === name) ?? false
}

/** Publishes them; undefined when they are as they were. */
export async function prepareExampleRelease(
  hub: HubClient,
  home: { readonly path: string; readonly publisher: string },
): Promise<ExampleRelease | undefined> {
  const record = join(home.path, 'example-release')
  const sources = EXAMPLE_FUNCTIONS.map((name) => openFunctionSource(join(EXAMPLES, name)))
  const digest = createHash('sha256')
  for (const { config, folder, configName } of sources)
    digest.update(readBundle(folder, { name: config.name, version: 1, config: configName }).manifestText)
  const content = digest.digest('hex')
  if (readFileIfThere(record)?.trim() === content) return undefined
  const functions: Array<{ name: string; version: number }> = []
  for (const source of sources) {
    const { name, version } = await publishFunction(hub, home.publisher, source)
    functions.push({ name, version })
  }
  return {
    functions,
    assign: async (device) => {
      const [first, ...rest] = functions
      await hub.post('/v1/releases', { functions: [first], devices: [device] })
      while (!(await knows(hub, device, first!.name))) await sleep(POLL_MS)
      await hub.post('/v1/releases', { functions: rest, devices: [device] })
      writeDurably(record, `${content}\n`)
    },
  }
}
