/** function.yaml in, FunctionConfig out, or one ConfigError that lists every problem. */
export type * from './function-types.ts'
