import type { RuntimeKind } from '../../config/function-config.ts'
import type { Runtime } from './worker.ts'

/** Every runtime kind, loaded when the first function needs it. */
export const runtimes = {
  nodejs: async (): Promise<Runtime> => (await import('./nodejs/nodejs-runtime.ts')).nodejsRuntime,
  python: async (): Promise<Runtime> => (await import('./python/python-runtime.ts')).pythonRuntime,
  java: async (): Promise<Runtime> => (await import('./java/java-runtime.ts')).javaRuntime,
  native: async (): Promise<Runtime> => (await import('./native/native-runtime.ts')).nativeRuntime,
  golang: async (): Promise<Runtime> => (await import('./golang/golang-runtime.ts')).golangRuntime,
  shell: async (): Promise<Runtime> => (await import('./shell/shell-runtime.ts')).shellRuntime,
} satisfies Record<RuntimeKind, () => Promise<Runtime>>
