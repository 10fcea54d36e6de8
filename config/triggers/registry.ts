/** The kinds of triggers that function.yaml may name. */
import { cron, type CronTriggerConfig } from './cron.ts'
import { file, type FileTriggerConfig } from './file.ts'
import { http, type HttpTriggerConfig } from './http.ts'
import { kickstart, type KickstartTriggerConfig } from './kickstart.ts'
import { mqtt, type MqttTriggerConfig } from './mqtt.ts'
import { serial, type SerialTriggerConfig } from './serial.ts'

export const triggerKinds = { mqtt, http, cron, kickstart, file, serial }

export type TriggerConfig =
  | MqttTriggerConfig
  | HttpTriggerConfig
  | CronTriggerConfig
  | KickstartTriggerConfig
  | FileTriggerConfig
  | SerialTriggerConfig
export type TriggerKind = keyof typeof triggerKinds
export const TRIGGER_KINDS = Object.keys(triggerKinds) as TriggerKind[]
