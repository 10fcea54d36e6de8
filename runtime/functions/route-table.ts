import * as v from 'valibot'
import { type Route, Routes, type RoutesOrigin } from '../../config/routes.ts'
import type { Store } from '../store/store.ts'

/** In the order in which they count. */
const ORIGINS = ['hub', 'device', 'spec'] as const

/** The routes of one function by who gave them. Lists are not mixed: the first origin that has one decides, also with an empty one. */
export class RouteTable {
  readonly #lists = new Map<RoutesOrigin, readonly Route[]>()

  /** Undefined: this origin says nothing. */
  set(origin: Exclude<RoutesOrigin, 'none'>, routes: readonly Route[] | undefined): void {
    if (routes) this.#lists.set(origin, routes)
    else this.#lists.delete(origin)
  }

  get current(): { readonly origin: RoutesOrigin; readonly list: readonly Route[] } {
    for (const origin of ORIGINS) {
      const list = this.#lists.get(origin)
      if (list) return { origin, list }
    }
    return { origin: 'none', list: [] }
  }
}

const keyOf = (name: string): string => `routes/${name}`

/** Resolves when they are on disk. */
export async function keepRoutes(
  store: Pick<Store, 'setValue' | 'deleteValue'>,
  name: string,
  routes: readonly Route[] | undefined,
): Promise<void> {
  await (routes ? store.setValue(keyOf(name), JSON.stringify(routes)) : store.deleteValue(keyOf(name)))
}

/** Undefined: none were kept, or by a release whose rules this one does not know; then production gets the events. */
export async function keptRoutes(store: Pick<Store, 'getValue'>, name: string): Promise<readonly Route[] | undefined> {
  const text = await store.getValue(keyOf(name))
  const parsed = text === undefined ? undefined : v.safeParse(Routes, JSON.parse(text))
  return parsed?.success ? parsed.output : undefined
}
