/** Small values that a trigger keeps over restarts, in the store. Names begin with the kind: `cron/<function>/<trigger>`. */
export interface Marks {
  get(name: string): Promise<string | undefined>
  /** Resolves when it is committed. */
  set(name: string, value: string): Promise<void>
}
