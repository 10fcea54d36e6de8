import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import path from 'node:path'
import type { TriggerKind } from '../../config/function-config.ts'
import type { NeedName } from './packages.ts'
import { SerialLine } from './serial-line.ts'
import type { TriggerBench } from './trigger-bench.ts'

/** How one kind of trigger is set up and set off. */
export interface TriggerSource {
  readonly trigger: object
  /** Sets it off; resolves when the source has been acknowledged (`true`), or has been told that it was not (`false`). */
  readonly setOff: () => Promise<boolean>
  /** Whether the source still has what was not acknowledged, and gives it again by itself. */
  readonly givesAgain: boolean
  /** Whether somebody waits for an answer, and gets one also when the trigger is stopped. */
  readonly isAnswered: boolean
  readonly close?: () => Promise<void>
}

export interface SourceKind {
  readonly needs: readonly NeedName[]
  readonly open: (bench: TriggerBench, directory: string) => Promise<TriggerSource>
}

export const triggerSources = {
  mqtt: {
    needs: [],
    open: async ({ router }) => ({
      trigger: { kind: 'mqtt', attributes: { subscriptions: [{ topic: 'a/b', qos: 1 }] } },
      givesAgain: false,
      isAnswered: false,
      setOff: () =>
        new Promise((resolve) => {
          const message = { clientId: 'c', topic: 'a/b', payload: Buffer.from('x'), qos: 1, retain: false } as const
          router.publish(message, (error) => resolve(!error))
        }),
    }),
  },
  http: {
    needs: [],
    open: async (bench) => ({
      trigger: { kind: 'http', delivery: 'durable' },
      givesAgain: false,
      isAnswered: true,
      setOff: () =>
        new Promise((resolve, reject) => {
          const port = bench.http.address?.port
          if (port === undefined) return resolve(false)
          const sent = request({ host: '127.0.0.1', port, path: '/f', method: 'POST', agent: false }, (response) => {
            response.resume().on('end', () => resolve(response.statusCode === 202))
          })
          sent.on('error', reject)
          sent.end('x')
        }),
    }),
  },
  cron: {
    needs: [],
    open: async (bench) => ({
      trigger: { kind: 'cron', attributes: { schedule: '* * * * * *', catchUp: 'last' } },
      givesAgain: true,
      isAnswered: false,
      setOff: () => acknowledged(bench, () => bench.kept.has('cron/f/t'), 0),
    }),
  },
  kickstart: {
    needs: [],
    open: async (bench) => ({
      trigger: { kind: 'kickstart', attributes: { per: 'version' } },
      givesAgain: true,
      isAnswered: false,
      setOff: () => acknowledged(bench, () => bench.kept.has('kickstart/f/t'), 0),
    }),
  },
  file: {
    needs: [],
    open: async (bench, directory) => {
      const inbox = path.join(directory, 'in')
      mkdirSync(inbox)
      let files = 0
      return {
        trigger: { kind: 'file', attributes: { paths: [inbox], stable: '20ms', after: 'delete' } },
        givesAgain: true,
        isAnswered: false,
        setOff: async () => {
          const file = path.join(inbox, `file-${files++}`)
          writeFileSync(file, 'x')
          return acknowledged(bench, () => !existsSync(file))
        },
      }
    },
  },
  serial: {
    needs: ['socat'],
    open: async (bench, directory) => {
      const line = new SerialLine(directory)
      await line.plugIn()
      return {
        trigger: { kind: 'serial', attributes: { path: line.port } },
        givesAgain: true,
        isAnswered: false,
        // A line has no acknowledgement: the trigger itself holds what is not committed.
        setOff: async () => {
          const before = bench.committed.length
          await line.send('x\n')
          return acknowledged(bench, () => bench.committed.length > before)
        },
        close: () => line.pullOut(),
      }
    },
  },
} satisfies Record<TriggerKind, SourceKind>

/** True as soon as it is; false when an event was offered since `offered` and was refused. */
async function acknowledged(bench: TriggerBench, isTrue: () => boolean, offered = bench.offered.length): Promise<boolean> {
  await bench.until(() => isTrue() || (bench.mode === 'refuse' && bench.offered.length > offered))
  return isTrue()
}
