/** What the agent works with after function.yaml has been checked, defaulted and compiled. */
export type RuntimeKind = 'nodejs' | 'python' | 'java' | 'shell'
export type Delivery = 'durable' | 'direct'
export type OrderKey = 'topic' | 'source' | 'none'
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
  readonly logLevel: FunctionLogLevel
  /** shell: `arguments: string[]` and `responseHeaders: Record<string, string>`, both always there. */
  readonly runtimeAttributes: Readonly<Record<string, unknown>>
  /** Assigned but not started. */
  readonly disabled: boolean
  readonly triggers: readonly TriggerConfig[]
  /** `spec.build.functionSourceCode`, decoded: the source of a function without files. */
  readonly inlineSource: string | null
  /** What was accepted and has no effect here, one sentence each, with its line. */
  readonly notices: readonly string[]
}

export interface TriggerBase {
  readonly name: string
  readonly numWorkers: number
  /** Events in flight per worker. */
  readonly concurrency: number
  readonly delivery: Delivery
  readonly orderKey: OrderKey
  readonly workerAvailabilityTimeoutMs: number
  readonly annotations: Readonly<Record<string, string>>
}

export interface MqttTriggerConfig extends TriggerBase {
  readonly kind: 'mqtt'
  readonly subscriptions: readonly MqttSubscription[]
  /** null: the device's own broker. */
  readonly url: string | null
}

export interface MqttSubscription {
  readonly topic: string
  readonly qos: 0 | 1 | 2
}

export interface HttpTriggerConfig extends TriggerBase {
  readonly kind: 'http'
  /** A port of its own; null: the agent's shared listener. */
  readonly port: number | null
  /** A path stands for itself and for everything below it. Default: `/<function>` on the shared listener, `/` on a port of its own. */
  readonly paths: readonly string[]
  readonly maxRequestBodyBytes: number
  readonly cors: CorsConfig | null
}

export interface CorsConfig {
  readonly allowOrigins: readonly string[]
  readonly allowMethods: readonly string[]
  readonly allowHeaders: readonly string[]
  readonly allowCredentials: boolean
  readonly preflightMaxAgeSeconds: number
}

/** Exactly one of `schedule` and `intervalMs` is not null. */
export interface CronTriggerConfig extends TriggerBase {
  readonly kind: 'cron'
  /** Five fields, or six with seconds in front. */
  readonly schedule: string | null
  readonly intervalMs: number | null
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  /** IANA name; null: the device's own. */
  readonly timezone: string | null
}

export type TriggerConfig = MqttTriggerConfig | HttpTriggerConfig | CronTriggerConfig
export type TriggerKind = TriggerConfig['kind']
