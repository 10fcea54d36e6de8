/**
 * Which device runs which function versions. A release changes the functions it names and leaves the others; a device whose
 * assignments changed gets the next desired revision. One release is one transaction.
 */
import * as v from 'valibot'
import { DEVICE_ID_PATTERN, type Desired, FUNCTION_NAME_PATTERN } from '../../config/wire.ts'
import { InputError } from '../../runtime/base/errors.ts'
import type { HubDatabase } from '../database/hub-database.ts'
import type { Audit } from './audit.ts'
import type { Functions } from './functions.ts'

const FUNCTIONS_PER_DEVICE_MAX = 256

const name = v.pipe(v.string(), v.regex(FUNCTION_NAME_PATTERN))
export const ReleaseRequest = v.strictObject({
  functions: v.optional(
    v.pipe(
      v.array(v.strictObject({ name, version: v.pipe(v.number(), v.integer(), v.minValue(1)), disabled: v.optional(v.boolean(), false) })),
      v.maxLength(FUNCTIONS_PER_DEVICE_MAX),
    ),
    [],
  ),
  remove: v.optional(v.pipe(v.array(name), v.maxLength(FUNCTIONS_PER_DEVICE_MAX)), []),
  /** `*`: every device that is accepted now, and every one that enrols later. */
  devices: v.union([v.literal('*'), v.pipe(v.array(v.pipe(v.string(), v.regex(DEVICE_ID_PATTERN))), v.minLength(1), v.maxLength(10_000))]),
})
export type ReleaseRequest = v.InferOutput<typeof ReleaseRequest>

export interface Release {
  readonly release: number
  /** Those that it changed. */
  readonly devices: readonly string[]
}

interface Target {
  readonly num: number
  readonly id: string
}

export class Releases {
  readonly #database: HubDatabase
  readonly #functions: Functions
  readonly #audit: Audit
  /** Called after the commit, with the devices whose desired state is another. */
  onChanged: (devices: readonly string[]) => void = () => {}

  constructor(parts: { database: HubDatabase; functions: Functions; audit: Audit }) {
    this.#database = parts.database
    this.#functions = parts.functions
    this.#audit = parts.audit
  }

  create(request: ReleaseRequest): Release {
    for (const { name, version } of request.functions) {
      if (!this.#functions.find(name, version)) {
        throw new InputError('function-unknown', `Cannot release ${name} ${version}: it is not published`, {
          hint: 'GET /v1/functions lists what is',
        })
      }
    }
    const release = this.#database.transaction(() => {
      if (request.devices === '*') this.#changeDefaults(request)
      const changed = this.#targets(request.devices).filter((device) => this.#change(device, request))
      const devices = changed.map(({ id }) => id)
      const row = { created_ms: Date.now(), request: JSON.stringify(request), devices: JSON.stringify(devices) }
      const { lastId } = this.#database.run(this.#database.query.insertInto('releases').values(row))
      this.#audit.add({ actor: 'operator', action: 'release.created', subject: String(lastId), detail: { devices: devices.length } })
      return { release: lastId, devices }
    })
    this.onChanged(release.devices)
    return release
  }

  /** A device that has just enrolled gets what was released to all. Part of the enrolment's transaction. */
  assignDefaults(device: string): void {
    const { query } = this.#database
    const { num } = this.#database.first(query.selectFrom('devices').select('num').where('id', '=', device))!
    const defaults = this.#database
      .all(query.selectFrom('default_assignments').selectAll())
      .filter(({ function: name, version }) => this.#functions.find(name, version))
    if (defaults.length === 0) return
    for (const row of defaults) this.#database.run(query.insertInto('assignments').values({ device: num, ...row }))
    this.#database.run(query.updateTable('devices').set({ desired_revision: 1 }).where('num', '=', num))
  }

  desired(device: string): Desired {
    const { query } = this.#database
    const row = this.#database.first(query.selectFrom('devices').select(['num', 'desired_revision']).where('id', '=', device))
    const functions = row ? this.#assignments(row.num) : []
    return {
      revision: row?.desired_revision ?? 0,
      functions: functions.map(({ function: name, version, disabled }) => ({ name, version, disabled: disabled === 1 })),
      hubTimeMs: Date.now(),
    }
  }

  #targets(devices: '*' | readonly string[]): Target[] {
    const { query } = this.#database
    const accepted = query.selectFrom('devices').select(['num', 'id']).where('state', '=', 'accepted')
    if (devices === '*') return this.#database.all(accepted.orderBy('id'))
    return [...new Set(devices)].map((id) => {
      const device = this.#database.first(accepted.where('id', '=', id))
      if (!device)
        throw new InputError('device-unknown', `Cannot release to "${id}": there is no such accepted device`, {
          hint: 'GET /v1/devices lists them',
        })
      return device
    })
  }

  #changeDefaults({ functions, remove }: ReleaseRequest): void {
    const { query } = this.#database
    for (const name of [...remove, ...functions.map((fn) => fn.name)]) {
      this.#database.run(query.deleteFrom('default_assignments').where('function', '=', name))
    }
    for (const { name, version, disabled } of functions) {
      this.#database.run(query.insertInto('default_assignments').values({ function: name, version, disabled: disabled ? 1 : 0 }))
    }
  }

  /** Whether anything changed. */
  #change(device: Target, request: ReleaseRequest): boolean {
    const { query } = this.#database
    const before = this.#assignments(device.num)
    const after = new Map(before.map((row) => [row.function, row]))
    for (const name of request.remove) after.delete(name)
    for (const { name, version, disabled } of request.functions) after.set(name, { function: name, version, disabled: disabled ? 1 : 0 })
    const rows = [...after.values()].sort((a, b) => (a.function < b.function ? -1 : 1))
    if (JSON.stringify(rows) === JSON.stringify(before)) return false
    if (rows.length > FUNCTIONS_PER_DEVICE_MAX)
      throw new InputError('functions-max', `Cannot give "${device.id}" ${rows.length} functions, at most ${FUNCTIONS_PER_DEVICE_MAX}`)
    this.#database.run(query.deleteFrom('assignments').where('device', '=', device.num))
    for (const row of rows) this.#database.run(query.insertInto('assignments').values({ device: device.num, ...row }))
    this.#database.run(
      query
        .updateTable('devices')
        .set((eb) => ({ desired_revision: eb('desired_revision', '+', 1) }))
        .where('num', '=', device.num),
    )
    return true
  }

  #assignments(device: number): Array<{ function: string; version: number; disabled: number }> {
    const { query } = this.#database
    return this.#database.all(
      query.selectFrom('assignments').select(['function', 'version', 'disabled']).where('device', '=', device).orderBy('function'),
    )
  }
}
