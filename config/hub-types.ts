import type { LogLevelName } from './agent-types.ts'
import type { Listen } from './listen.ts'

/** What the hub works with after hub.yaml has been checked, defaulted and compiled. */
export interface HubConfig {
  readonly dataDir: string
  /** Host names and addresses that the hub's certificate is made for. */
  readonly names: readonly string[]
  /** HTTPS: operators, enrolment, bundles. */
  readonly api: Listen
  /** MQTT over TLS: enrolled devices. */
  readonly gateway: Listen
  /** What devices are told to connect to; null: the name that the device itself used, and the gateway's own port. */
  readonly advertise: { readonly host: string | null; readonly gatewayPort: number | null }
  readonly limits: HubLimits
  readonly log: { readonly level: LogLevelName }
}

export interface HubLimits {
  readonly devicesMax: number
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  /** One file of a bundle. */
  readonly blobBytesMax: number
  /** Any other HTTPS body. */
  readonly requestBytesMax: number
  /** Newest log lines kept per device. */
  readonly logLinesPerDeviceMax: number
  /** Life of a device certificate. */
  readonly deviceCertificateMs: number
}
