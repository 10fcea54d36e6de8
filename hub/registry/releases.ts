/**
 * Which device runs which function versions. A release changes the functions it names and leaves the others; a device whose
 * assignments changed gets the next desired revision. One release is one transaction.
 */
import * as v from 'valibot'
import { ALIAS_PATTERN, aliasName, PRODUCTION, readSlot, Routes } from '../../config/routes.ts'
import { DEVICE_ID_PATTERN, type Desired, FUNCTION_NAME_PATTERN, WIRE_PAYLOAD_BYTES_MAX } from '../../config/wire.ts'
import { InputError } from '../../runtime/base/errors.ts'
import type { HubDatabase } from '../database/hub-database.ts'
import { type Assignment, changeAssignments } from './assignments.ts'
import type { Audit } from './audit.ts'
import type { Functions } from './functions.ts'

const FUNCTIONS_PER_DEVICE_MAX = 256
/** What a device is to run goes to it as one message. */
const DESIRED_BYTES_MAX = WIRE_PAYLOAD_BYTES_MAX - 65_536

const name = v.pipe(v.string(), v.regex(FUNCTION_NAME_PATTERN))
export const ReleaseRequest = v.strictObject({
  functions: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          name,
          /** Default: production, which a function must have before it has others. */
          alias: v.optional(aliasName, PRODUCTION),
          version: v.pipe(v.number(), v.integer(), v.minValue(1)),
          disabled: v.optional(v.boolean(), false),
        }),
      ),
      v.maxLength(FUNCTIONS_PER_DEVICE_MAX),
    ),
    [],
  ),
  /** `function` with all its aliases, or `function@alias`. */
  remove: v.optional(v.pipe(v.array(v.pipe(v.string(), v.check(isSlot))), v.maxLength(FUNCTIONS_PER_DEVICE_MAX)), []),
  /** By function; null: the devices' own, or those of function.yaml. */
  routes: v.optional(v.pipe(v.record(name, v.nullable(Routes)), v.maxEntries(FUNCTIONS_PER_DEVICE_MAX)), {}),
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
      const targets = this.#targets(request.devices)
      const changed =
        request.devices === '*' ? this.#changeAll(targets, request) : targets.filter((device) => this.#change(device, request))
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
    const isPublished = (name: string, version: number) => this.#functions.find(name, version) !== undefined
    const defaults = this.#defaults()
      .filter(({ name, version }) => isPublished(name, version))
      .map((row) => ({ ...row, aliases: row.aliases.filter(({ version }) => isPublished(row.name, version)) }))
    if (defaults.length === 0) return
    this.#writeAssignments(num, defaults)
    this.#database.run(query.updateTable('devices').set({ desired_revision: 1 }).where('num', '=', num))
  }

  desired(device: string): Desired {
    const { query } = this.#database
    const row = this.#database.first(query.selectFrom('devices').select(['num', 'desired_revision']).where('id', '=', device))
    const functions = row ? this.#assignments(row.num) : []
    return {
      revision: row?.desired_revision ?? 0,
      functions: functions.map(({ name, version, disabled, aliases, routes }) => ({
        name,
        version,
        disabled,
        ...(aliases.length > 0 && { aliases: [...aliases] }),
        ...(routes && { routes: [...routes] }),
      })),
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

  /** All that are there, and what those get that come later. A device without the function has no aliases and routes of it. */
  #changeAll(targets: readonly Target[], request: ReleaseRequest): Target[] {
    const without = new Set<string>()
    const defaults = changeAssignments(this.#defaults(), request, (name) => without.add(name))
    const lists = targets.map((device) => ({ device, before: this.#assignments(device.num) }))
    for (const name of without)
      if (!lists.some(({ before }) => before.some((assignment) => assignment.name === name))) throw notAssigned(name, 'any device')
    this.#writeDefaults(defaults)
    return targets.filter((device) => this.#change(device, request, () => {}))
  }

  /** Whether anything changed. */
  #change(
    device: Target,
    request: ReleaseRequest,
    missing = (name: string): void => {
      throw notAssigned(name, `"${device.id}"`)
    },
  ): boolean {
    const before = this.#assignments(device.num)
    const after = changeAssignments(before, request, missing)
    if (JSON.stringify(after) === JSON.stringify(before)) return false
    if (after.length > FUNCTIONS_PER_DEVICE_MAX)
      throw new InputError('functions-max', `Cannot give "${device.id}" ${after.length} functions, at most ${FUNCTIONS_PER_DEVICE_MAX}`)
    const bytes = Buffer.byteLength(JSON.stringify(after))
    if (bytes > DESIRED_BYTES_MAX)
      throw new InputError(
        'release-too-large',
        `Cannot give "${device.id}" ${bytes} bytes of functions and routes, at most ${DESIRED_BYTES_MAX}`,
      )
    this.#writeAssignments(device.num, after)
    this.#database.run(
      this.#database.query
        .updateTable('devices')
        .set((eb) => ({ desired_revision: eb('desired_revision', '+', 1) }))
        .where('num', '=', device.num),
    )
    return true
  }

  #defaults(): Assignment[] {
    const { query } = this.#database
    return this.#database.all(query.selectFrom('default_assignments').select(COLUMNS).orderBy('function')).map(ofRow)
  }

  #writeDefaults(assignments: readonly Assignment[]): void {
    const { query } = this.#database
    this.#database.run(query.deleteFrom('default_assignments'))
    for (const row of assignments) this.#database.run(query.insertInto('default_assignments').values(rowOf(row)))
  }

  #assignments(device: number): Assignment[] {
    const { query } = this.#database
    return this.#database.all(query.selectFrom('assignments').select(COLUMNS).where('device', '=', device).orderBy('function')).map(ofRow)
  }

  #writeAssignments(device: number, assignments: readonly Assignment[]): void {
    const { query } = this.#database
    this.#database.run(query.deleteFrom('assignments').where('device', '=', device))
    for (const row of assignments) this.#database.run(query.insertInto('assignments').values({ device, ...rowOf(row) }))
  }
}

const COLUMNS = ['function', 'version', 'disabled', 'aliases', 'routes'] as const

interface Row {
  readonly function: string
  readonly version: number
  readonly disabled: number
  readonly aliases: string
  readonly routes: string | null
}

function ofRow({ function: name, version, disabled, aliases, routes }: Row): Assignment {
  return {
    name,
    version,
    disabled: disabled === 1,
    aliases: JSON.parse(aliases) as Assignment['aliases'],
    routes: routes === null ? null : (JSON.parse(routes) as Assignment['routes']),
  }
}

function rowOf({ name, version, disabled, aliases, routes }: Assignment): Row {
  return {
    function: name,
    version,
    disabled: disabled ? 1 : 0,
    aliases: JSON.stringify(aliases),
    routes: routes === null ? null : JSON.stringify(routes),
  }
}

function isSlot(text: string): boolean {
  const { name, alias } = readSlot(text)
  return FUNCTION_NAME_PATTERN.test(name) && ALIAS_PATTERN.test(alias)
}

function notAssigned(name: string, whom: string): InputError {
  return new InputError('function-not-assigned', `Cannot give ${whom} an alias or routes of ${name}: it has no production version of it`, {
    hint: `release a version of ${name} to it first ("dunlin deploy" without --alias)`,
  })
}
