import type { PoolStatus } from '../../runtime/workers/pool-status.ts'

/** `2/2`; of a pool that grows and shrinks `1/1 (0-4)`. */
export function workersText({ ready, wanted, min, max, crashLoop }: PoolStatus): string {
  const range = min === max ? '' : ` (${min}-${max})`
  return `${ready}/${wanted}${range}${crashLoop ? ', crash loop' : ''}`
}
