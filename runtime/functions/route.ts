/**
 * Which alias an event goes to: pure, and the same for the same event each time it is asked. Rules are read from the top; a rule
 * whose alias does not run here is passed over, so that a route never leads to nowhere.
 */
import type { OrderKey, TriggerConfig } from '../../config/function-config.ts'
import { PRODUCTION, type Route } from '../../config/routes.ts'
import { headOf } from '../event/event-writer.ts'
import { findItem } from '../event/head.ts'
import { AT, Tag } from '../event/record.ts'

/** `trigger`: the one that the event came from. */
export type Router = (record: Buffer, trigger: Pick<TriggerConfig, 'name' | 'orderKey'>) => string

/** `aliases`: the versions that run here, by alias. Null: everything goes to production, and no event need be looked at. */
export function makeRouter(routes: readonly Route[], aliases: ReadonlyMap<string, string>): Router | null {
  const rules = liveRoutes(routes, aliases).map(({ route, alias }) => ruleOf(route, alias))
  if (!rules.some(({ alias }) => alias !== PRODUCTION)) return null
  return (record, trigger) => {
    for (const rule of rules) if (fits(rule, record, trigger)) return rule.alias
    return PRODUCTION
  }
}

/** Those whose alias runs, with it. */
export function liveRoutes(
  routes: readonly Route[],
  aliases: ReadonlyMap<string, string>,
): { readonly route: Route; readonly alias: string }[] {
  return routes.flatMap((route) => {
    const alias = aliasOf(route, aliases)
    return alias === undefined ? [] : [{ route, alias }]
  })
}

/** Whether a request to `path` is one to `below` or to something below it. */
export function isBelow(path: string, below: string): boolean {
  const prefix = below.endsWith('/') ? below.slice(0, -1) : below
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/')
}

/** MQTT 3.1.1, section 4.7: "+" is one level, "#" the rest; neither matches a first level that begins with "$". */
export function matchesTopic(filter: readonly string[], topic: string): boolean {
  const levels = topic.split('/')
  if (topic.startsWith('$') && (filter[0] === '+' || filter[0] === '#')) return false
  for (let i = 0; i < filter.length; i++) {
    if (filter[i] === '#') return true
    if (i >= levels.length || (filter[i] !== '+' && filter[i] !== levels[i])) return false
  }
  return filter.length === levels.length
}

interface Rule {
  readonly alias: string
  readonly trigger: string | undefined
  readonly path: string | undefined
  readonly topic: ((topic: string) => boolean) | undefined
  /** Of 2^32; undefined: all of them. */
  readonly share: number | undefined
  readonly byKey: boolean
  /** So that two shares of the same events are drawn independently. */
  readonly salt: number
  readonly drawKey: (key: string) => number
}

function ruleOf(route: Route, alias: string): Rule {
  const filter = route.topic?.split('/')
  const salt = hash(Buffer.from(alias), 0)
  return {
    alias,
    trigger: route.trigger,
    path: route.path,
    topic: filter && remembered((topic) => matchesTopic(filter, topic)),
    share: route.percent === undefined ? undefined : (route.percent / 100) * 2 ** 32,
    byKey: route.by === 'orderKey',
    salt,
    drawKey: remembered((key) => hash(Buffer.from(key), salt)),
  }
}

/** Sensors publish on few topics, and again and again. */
const REMEMBERED_MAX = 10_000

function remembered<T>(decide: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>()
  return (text) => {
    let decided = known.get(text)
    if (decided === undefined) {
      if (known.size >= REMEMBERED_MAX) known.clear()
      decided = decide(text)
      known.set(text, decided)
    }
    return decided
  }
}

function aliasOf({ alias, version }: Route, aliases: ReadonlyMap<string, string>): string | undefined {
  if (alias !== undefined) return aliases.has(alias) ? alias : undefined
  return [...aliases].find(([, runs]) => runs === String(version))?.[0]
}

function fits(rule: Rule, record: Buffer, trigger: Parameters<Router>[1]): boolean {
  if (rule.trigger !== undefined && rule.trigger !== trigger.name) return false
  if (rule.path !== undefined) {
    const path = findItem(headOf(record), Tag.path)
    if (path === undefined || !isBelow(path, rule.path)) return false
  }
  if (rule.topic !== undefined) {
    const topic = findItem(headOf(record), Tag.topic)
    if (topic === undefined || !rule.topic(topic)) return false
  }
  return rule.share === undefined || draw(rule, record, trigger.orderKey) < rule.share
}

/** A number below 2^32 that the event, or its order key, always has. A larger share holds all that a smaller one held. */
function draw({ byKey, salt, drawKey }: Rule, record: Buffer, orderKey: OrderKey): number {
  const key = byKey ? keyOf(record, orderKey) : undefined
  return key === undefined ? hash(record.subarray(AT.id, AT.id + 16), salt) : drawKey(key)
}

/** Undefined: the event has no order, and is drawn by itself. */
function keyOf(record: Buffer, orderKey: OrderKey): string | undefined {
  if (orderKey === 'none') return undefined
  return (orderKey === 'topic' && findItem(headOf(record), Tag.topic)) || '*'
}

/** FNV-1a, and the last step of MurmurHash3 so that near keys lie far apart. */
function hash(bytes: Uint8Array, salt: number): number {
  let h = 0x811c9dc5 ^ salt
  for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ bytes[i]!, 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
