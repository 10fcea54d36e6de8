/** The kinds of triggers that function.yaml may name. */
import { cron, type CronTriggerConfig } from './cron.ts'
import { http, type HttpTriggerConfig } from './http.ts'
import { mqtt, type MqttTriggerConfig } from './mqtt.ts'

export const triggerKinds = { mqtt, http, cron }

export type TriggerConfig = MqttTriggerConfig | HttpTriggerConfig | CronTriggerConfig
export type TriggerKind = keyof typeof triggerKinds
export const TRIGGER_KINDS = Object.keys(triggerKinds) as TriggerKind[]
