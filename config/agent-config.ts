/** agent.yaml in, AgentConfig out, or one ConfigError that lists every problem. */
export type * from './agent-types.ts'
