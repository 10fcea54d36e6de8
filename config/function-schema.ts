/** function.yaml: Nuclio's document as it is, with our fields beside its own. */
import * as v from 'valibot'
import { duration, durationOr, integer, quantity, size, stringMap, text } from './fields.ts'
import { BUILD_WITHOUT_EFFECT, METADATA_WITHOUT_EFFECT, SPEC_WITHOUT_EFFECT } from './nuclio-fields.ts'
import { Routes } from './routes.ts'
import { anything } from './without-effect.ts'
import { FUNCTION_NAME_PATTERN, STREAM_NAME_PATTERN } from './wire.ts'

const SECOND_MS = 1000
const MiB = 1024 * 1024
const HOUR_MS = 3_600_000

const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_.-]*$/

/** `trigger` is what stands under each name of `spec.triggers`: checked kind by kind when a file is read, a union in the JSON Schema. */
export const functionDocument = <const T extends v.GenericSchema>(trigger: T) =>
  v.strictObject({
    apiVersion: v.optional(v.picklist(['dunlin/v1', 'nuclio.io/v1', 'nuclio.io/v1beta1'])),
    kind: v.optional(v.picklist(['Function', 'NuclioFunction'])),
    metadata: v.strictObject({
      name: v.pipe(v.string(), v.regex(FUNCTION_NAME_PATTERN, '1 to 63 of a-z, 0-9 and "-", not at the ends')),
      labels: v.optional(stringMap, {}),
      annotations: v.optional(stringMap, {}),
      ...anything(METADATA_WITHOUT_EFFECT),
    }),
    spec: v.strictObject({
      description: v.optional(v.string(), ''),
      /** Assigned but not started. */
      disable: v.optional(v.boolean(), false),
      /** Default main:handler; shell has none (runtimes.ts). */
      handler: v.optional(text(1024)),
      runtime: text(64),
      /** nodejs only, default thread: a process costs more memory and contains what a thread cannot (Buffers, crashes, native code). */
      isolation: v.optional(v.picklist(['thread', 'process'])),
      env: v.optional(
        v.array(
          v.strictObject({
            name: v.pipe(v.string(), v.regex(ENV_NAME, 'a variable name')),
            value: v.optional(
              v.pipe(
                v.string(),
                v.check((given) => !given.includes('\0'), 'text without a NUL character'),
              ),
            ),
            valueFrom: v.optional(v.unknown()),
          }),
        ),
        [],
      ),
      /** 30 s: no function holds a worker for ever. */
      eventTimeout: durationOr('30s', { min: 1, max: 24 * HOUR_MS }),
      /** 5: with the waits below, a fault of a minute is outlived. */
      maxAttempts: v.optional(integer({ min: 1, max: 100 }), 5),
      retry: v.optional(
        v.strictObject({
          /** 1 s: most faults (a busy port, a lost packet) are over by then. */
          first: v.optional(duration({ min: 1, max: HOUR_MS }), '1s'),
          /** 60 s: a retrying event blocks its order key, so it must not sleep for long. */
          max: v.optional(duration({ min: SECOND_MS, max: 24 * HOUR_MS }), '60s'),
        }),
        {},
      ),
      /** Default: none; what a handler returns answers the caller and is not kept. */
      outputStream: v.optional(
        v.pipe(v.string(), v.regex(STREAM_NAME_PATTERN, '1 to 128 of letters, digits, ".", "_" and "-", not at the ends')),
      ),
      /** Which events go to which alias; counts while neither the hub nor the device says otherwise. */
      routes: v.optional(Routes),
      loggerSinks: v.optional(
        v.array(
          v.strictObject({
            level: v.optional(v.picklist(['debug', 'info', 'warn', 'warning', 'error'])),
            sink: v.optional(v.string()),
          }),
        ),
        [],
      ),
      runtimeAttributes: v.optional(v.record(v.string(), v.unknown()), {}),
      build: v.optional(
        v.strictObject({
          codeEntryType: v.optional(v.string()),
          functionSourceCode: v.optional(v.string()),
          ...anything(BUILD_WITHOUT_EFFECT),
        }),
        {},
      ),
      /** Of Kubernetes' resources, a device keeps the memory limit. */
      resources: v.optional(
        v.strictObject({
          /** 16 MiB: no worker of any runtime is smaller. Default: 256 MiB for each worker, and half of the machine's memory at the most. */
          limits: v.optional(v.looseObject({ memory: v.optional(quantity({ min: 16 * MiB, max: 1024 ** 4 })) }), {}),
          requests: v.optional(v.unknown()),
        }),
        {},
      ),
      triggers: v.optional(v.record(v.string(), trigger), {}),
      ...anything(SPEC_WITHOUT_EFFECT),
    }),
    /** What Nuclio writes into an exported document. */
    status: v.optional(v.unknown()),
  })

export const NativeAttributes = v.optional(
  v.looseObject({
    /** 256 MiB, beside what a host takes itself: room for tables and small models, and a leak ends before a small board is full. */
    memoryLimit: v.optional(size({ min: 1 << 20, max: 1024 ** 4 }), '256MiB'),
    /** golang: what kinds of device it is built for; default: the kind that builds it. */
    architectures: v.optional(v.array(v.picklist(['x64', 'arm64']))),
  }),
  {},
)

export const JavaAttributes = v.optional(
  v.looseObject({
    /** Go to the JVM behind our own: -Xmx64m, -Dname=value. */
    jvmOptions: v.optional(v.array(v.pipe(v.string(), v.regex(/^-(X|D)\S*$/, 'an option that begins with -X or -D'))), []),
  }),
  {},
)
