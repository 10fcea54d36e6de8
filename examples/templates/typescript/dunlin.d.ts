/** What a handler is given, for your editor. Nothing of this is loaded when the function runs. */
export interface Event {
  /** UUIDv7, the same at every attempt. */
  readonly id: string
  /** Parsed when the content type is JSON, else a Buffer. */
  readonly body: unknown
  readonly rawBody: Buffer
  readonly contentType: string
  readonly headers: Readonly<Record<string, string>>
  readonly fields: Readonly<Record<string, string>>
  readonly topic: string
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly method: string
  readonly path: string
  readonly url: string
  readonly timestamp: Date
  readonly trigger: { readonly name: string; readonly kind: string }
  /** 1 at the first. */
  readonly attempt: number
}

export interface Answer {
  readonly body?: unknown
  readonly statusCode?: number
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
}

type Log = (message: string, fields?: Readonly<Record<string, unknown>>) => void

export interface Context {
  /** Committed with the event. */
  emit(stream: string, body: unknown): void
  /** Sent when the handler has succeeded. */
  publish(topic: string, body: unknown, options?: { readonly qos?: 0 | 1; readonly retain?: boolean }): void
  readonly state: {
    get(key: string): Promise<unknown>
    set(key: string, value: unknown): void
    delete(key: string): void
  }
  readonly platform: { callFunction(name: string, body: unknown): Promise<{ readonly body: unknown; readonly statusCode: number }> }
  readonly logger: { readonly debug: Log; readonly info: Log; readonly warn: Log; readonly error: Log }
  readonly Response: new (answer: Answer) => unknown
  readonly userData: Record<string, unknown>
  readonly workerId: number
}
