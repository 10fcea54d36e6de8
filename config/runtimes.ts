/** The runtimes that function.yaml may name, as Nuclio writes them, and what goes with each. */
import type { RuntimeKind } from './function-types.ts'

export const RUNTIMES: Readonly<Record<RuntimeKind, { readonly concurrency: number; readonly handler: string | null }>> = {
  /** 64: enough to overlap waiting handlers, and a thread's heap still holds their bodies. */
  nodejs: { concurrency: 64, handler: 'main:handler' },
  /** 256: the ring's window; a synchronous handler simply finds its next events there. */
  python: { concurrency: 256, handler: 'main:handler' },
  /** 256: as python. The handler is a class. */
  java: { concurrency: 256, handler: 'Main' },
  /** 256: as python. The handler is a library, so none can be guessed. */
  native: { concurrency: 256, handler: null },
  /** As native, which it becomes when it is built: no device runs it. */
  golang: { concurrency: 256, handler: 'main:Handler' },
  /** 1: each event is a process of its own. The handler is a program, so none can be guessed. */
  shell: { concurrency: 1, handler: null },
}

/** 64: a persistent program answers in order, and finds its next events in the pipe. */
const PERSISTENT_CONCURRENCY = 64

/** Events in flight per worker when nothing else is said. `attributes`: as written, not checked. */
export function defaultConcurrency(runtime: RuntimeKind, attributes: unknown): number {
  const isPersistent = runtime === 'shell' && typeof attributes === 'object' && attributes !== null && 'mode' in attributes
  return isPersistent && attributes.mode === 'persistent' ? PERSISTENT_CONCURRENCY : RUNTIMES[runtime].concurrency
}

/** `python:3.11` to `python`; null when there is no such runtime. The device's own Python and Node run, whatever the minor version. */
export function runtimeKind(name: string): RuntimeKind | null {
  if (/^python(:3(\.\d{1,2})?)?$/.test(name)) return 'python'
  if (/^nodejs(:\d{1,2})?$/.test(name)) return 'nodejs'
  if (/^golang(:1\.\d{1,2})?$/.test(name)) return 'golang'
  if (/^java(:(1[7-9]|[2-9]\d))?$/.test(name)) return 'java'
  return name === 'shell' || name === 'native' ? name : null
}
