/** hub.yaml in, HubConfig out, or one ConfigError that lists every problem. */
import type * as v from 'valibot'
import { HubDocument } from './hub-schema.ts'
import type { HubConfig } from './hub-types.ts'
import { type Checked, parseDocument, readConfigText, type Overrides } from './load.ts'

export type * from './hub-types.ts'
export type HubOverrides = Overrides<HubDocument>

/** `overrides` has the form of hub.yaml and wins over it. */
export function parseHubConfig(text: string, file: string, overrides: HubOverrides = {}): HubConfig {
  return parseDocument(HubDocument, text, file, overrides, compile)
}

export async function loadHubConfig(file: string | null, overrides: HubOverrides = {}): Promise<HubConfig> {
  return parseHubConfig(await readConfigText(file), file ?? 'hub.yaml', overrides)
}

function compile({ document, checker, absolute }: Checked<v.InferOutput<typeof HubDocument>>): HubConfig {
  const { api, gateway, advertise, limits } = document
  if (api.port !== 0 && api.port === gateway.port && api.host === gateway.host) {
    checker.add(['gateway'], `expected another port than api, got ${gateway.port} for both`)
  }
  const { deviceCertificateLife, ...others } = limits
  return {
    dataDir: absolute(['dataDir'], document.dataDir),
    names: document.names,
    api,
    gateway,
    advertise: { host: advertise.host ?? null, gatewayPort: advertise.gatewayPort ?? null },
    limits: { ...others, deviceCertificateMs: deviceCertificateLife },
    log: document.log,
  }
}
