import type { TriggerConfig, TriggerKind } from '../../config/function-config.ts'
import type { Trigger, TriggerContext } from '../../runtime/functions/trigger.ts'
import type { HttpListener } from './http-listener.ts'
import type { MqttRouter } from './mqtt-router.ts'
import type { CronMarks } from './cron.ts'

/** What triggers share on this device. */
export interface TriggerServices {
  readonly router: MqttRouter
  readonly http: HttpListener
  readonly cronMarks: CronMarks
}

export type TriggerOf<K extends TriggerKind> = Extract<TriggerConfig, { kind: K }>
export type OpenTrigger<K extends TriggerKind> = (config: TriggerOf<K>, context: TriggerContext, services: TriggerServices) => Trigger

/** Every kind of trigger, loaded when the first function needs it. */
export const triggers = {
  mqtt: async () => (await import('./mqtt.ts')).openMqttTrigger,
  http: async () => (await import('./http.ts')).openHttpTrigger,
  cron: async () => (await import('./cron.ts')).openCronTrigger,
} satisfies { [K in TriggerKind]: () => Promise<OpenTrigger<K>> }

export async function makeTrigger(config: TriggerConfig, context: TriggerContext, services: TriggerServices): Promise<Trigger> {
  switch (config.kind) {
    case 'mqtt':
      return (await triggers.mqtt())(config, context, services)
    case 'http':
      return (await triggers.http())(config, context, services)
    case 'cron':
      return (await triggers.cron())(config, context, services)
    default:
      return config satisfies never
  }
}
