import { readFileSync } from 'node:fs'

/** What the benchmarks share: a table with a ratio against a reference measured in the same run, and figures of processes. */
export interface Row {
  readonly what: string
  readonly ours: number
  readonly reference: number
  readonly unit: string
  /** What to reach, as `>= 10` or `<= 0.1` of ours / reference. */
  readonly reach: string
}

/** Prints rows and returns whether every ratio reaches what it should. */
export function printTable(title: string, rows: readonly Row[]): boolean {
  const cells = [['', 'ours', 'reference', 'unit', 'ratio', 'reach', '']]
  let isReached = true
  for (const row of rows) {
    const ratio = row.ours / row.reference
    const reached = reaches(ratio, row.reach)
    isReached &&= reached
    cells.push([row.what, figure(row.ours), figure(row.reference), row.unit, figure(ratio), row.reach, reached ? 'yes' : 'NO'])
  }
  printCells(title, cells)
  return isReached
}

/** Prints figures that have no reference. */
export function printFigures(
  title: string,
  rows: readonly (readonly [string, ...(string | number)[]])[],
  columns: readonly string[],
): void {
  printCells(title, [['', ...columns], ...rows.map((row) => row.map((cell) => (typeof cell === 'number' ? figure(cell) : cell)))])
}

/** Three significant digits, thousands apart. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)))
  return value.toLocaleString('en-US', { minimumFractionDigits: 0, maximumFractionDigits: Math.min(digits, 4) })
}

export interface Usage {
  readonly cpuSeconds: number
  readonly rssMegabytes: number
}

/** CPU time so far and resident memory of a process of ours. */
export function usageOf(pid: number | 'self'): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const rss = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND, rssMegabytes: Number(rss?.[1] ?? 0) / 1024 }
}

/** Children of a process that run now: an agent's workers. */
export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]!
}

export function quantile(sorted: Float64Array, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

/** USER_HZ on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

function reaches(ratio: number, reach: string): boolean {
  const [comparison, bound] = reach.split(' ')
  return comparison === '>=' ? ratio >= Number(bound) : ratio <= Number(bound)
}

function printCells(title: string, cells: readonly (readonly string[])[]): void {
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  console.log(`\n${title}`)
  for (const row of cells)
    console.log('  ' + row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '))
}
