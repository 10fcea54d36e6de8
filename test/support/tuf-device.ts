/** A TUF client that asks a test hub as a device: tuf-js with the device's certificate. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BaseFetcher, Updater } from 'tuf-js'
import { DownloadHTTPError } from 'tuf-js/dist/error.js'
import { call, type TestDevice, type TestHub } from './hub.ts'

class DeviceFetcher extends BaseFetcher {
  readonly #hub: TestHub
  readonly #device: TestDevice

  constructor(hub: TestHub, device: TestDevice) {
    super()
    this.#hub = hub
    this.#device = device
  }

  async fetch(url: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const { status, bytes } = await call(this.#hub, 'GET', new URL(url).pathname, { as: this.#device })
    // The updater asks for the next root until there is none.
    if (status !== 200) throw new DownloadHTTPError('refused', status)
    return new Blob([new Uint8Array(bytes)]).stream()
  }
}

/** Trusts the root that the device got when it enrolled. */
export function deviceUpdater(hub: TestHub, device: TestDevice, folder: string): Updater {
  mkdirSync(join(folder, 'targets'), { recursive: true })
  writeFileSync(join(folder, 'root.json'), device.tufRoot)
  return new Updater({
    metadataDir: folder,
    metadataBaseUrl: `${hub.url}/device/v1/tuf`,
    targetDir: join(folder, 'targets'),
    targetBaseUrl: `${hub.url}/device/v1/targets`,
    fetcher: new DeviceFetcher(hub, device),
  })
}
