/** What the agent works with after function.yaml has been checked, defaulted and compiled. */
import type { Route } from './routes.ts'
import type { TriggerConfig } from './triggers/registry.ts'

export type { AllocationMode, BatchConfig, Delivery, ExplicitAckMode, OrderKey, TriggerBase, PoolSettings } from './triggers/common.ts'
export type { CorsConfig, HttpTriggerConfig } from './triggers/http.ts'
export type { MqttSubscription, MqttTriggerConfig } from './triggers/mqtt.ts'
export type { CronTriggerConfig } from './triggers/cron.ts'
export type { FileTriggerConfig } from './triggers/file.ts'
export type { KickstartTriggerConfig } from './triggers/kickstart.ts'
export type { SerialFraming, SerialTriggerConfig } from './triggers/serial.ts'
export type { TriggerConfig, TriggerKind } from './triggers/registry.ts'

export type RuntimeKind = 'nodejs' | 'python' | 'java' | 'native' | 'golang' | 'shell'
/** Where the handler runs: beside others in a thread of the agent, or in a process of its own. */
export type Isolation = 'thread' | 'process'
export type FunctionLogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface FunctionConfig {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly description: string
  /** `module:function` for nodejs and python; the program to run for shell. */
  readonly handler: string
  readonly runtime: RuntimeKind
  /** Only nodejs can be `thread`; every other runtime is a process of its own. */
  readonly isolation: Isolation
  readonly env: ReadonlyArray<{ readonly name: string; readonly value: string }>
  /** An event that takes longer has failed. */
  readonly eventTimeoutMs: number
  /** Attempts at one event, the first included, before it goes to the dead-letter queue. */
  readonly maxAttempts: number
  /** Longest wait before the second attempt; doubles with each further one up to `retryMaxMs`. */
  readonly retryFirstMs: number
  readonly retryMaxMs: number
  /** Where what the handler returns goes; null: nowhere (what it emits goes where it says). */
  readonly outputStream: string | null
  /** Which events go to which alias, while this version is production; null: it says nothing. */
  readonly routes: readonly Route[] | null
  readonly logLevel: FunctionLogLevel
  /** shell: `arguments: string[]` and `responseHeaders: Record<string, string>`, both always there. */
  readonly runtimeAttributes: Readonly<Record<string, unknown>>
  /** Assigned but not started. */
  readonly disabled: boolean
  readonly triggers: readonly TriggerConfig[]
  /** What all workers together may use; null: the default for their number. */
  readonly memoryLimitBytes: number | null
  /** `spec.build.functionSourceCode`, decoded: the source of a function without files. */
  readonly inlineSource: string | null
  /** What was accepted and has no effect here, one sentence each, with its line. */
  readonly notices: readonly string[]
}
