/** hub.yaml in, HubConfig out, or one ConfigError that lists every problem. */
export type * from './hub-types.ts'
