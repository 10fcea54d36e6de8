import type { TriggerConfig, TriggerKind } from '../../config/function-config.ts'
import type { Trigger, TriggerContext } from '../../runtime/functions/trigger.ts'
import type { HttpListener } from './http-listener.ts'
import type { MqttRouter } from './mqtt-router.ts'
import type { Marks } from './marks.ts'

/** What triggers share on this device. */
export interface TriggerServices {
  readonly router: MqttRouter
  readonly http: HttpListener
  readonly marks: Marks
}

export type TriggerOf<K extends TriggerKind> = Extract<TriggerConfig, { kind: K }>
export type OpenTrigger<K extends TriggerKind> = (config: TriggerOf<K>, context: TriggerContext, services: TriggerServices) => Trigger

/** Every kind of trigger, loaded when the first function needs it. */
export const triggers = {
  mqtt: async () => (await import('./mqtt.ts')).openMqttTrigger,
  http: async () => (await import('./http.ts')).openHttpTrigger,
  cron: async () => (await import('./cron.ts')).openCronTrigger,
  file: async () => (await import('./file.ts')).openFileTrigger,
  kickstart: async () => (await import('./kickstart.ts')).openKickstartTrigger,
  serial: async () => (await import('./serial.ts')).openSerialTrigger,
} satisfies { [K in TriggerKind]: () => Promise<OpenTrigger<K>> }

export async function makeTrigger(config: TriggerConfig, context: TriggerContext, services: TriggerServices): Promise<Trigger> {
  const open = (await triggers[config.kind]()) as OpenTrigger<TriggerKind>
  return open(config, context, services)
}
