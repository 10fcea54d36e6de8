/** Aligned columns: text to the left, figures to the right. What came from outside cannot steer the terminal. */
import { stripVTControlCharacters } from 'node:util'

export type Cell = string | number | null | undefined

export function table(heads: readonly string[], rows: readonly (readonly Cell[])[], width = Infinity): string {
  const texts = rows.map((row) => heads.map((_, column) => cellText(row[column])))
  const isNumeric = heads.map(
    (_, column) =>
      rows.length > 0 && rows.every((row) => typeof row[column] === 'number' || row[column] === null || row[column] === undefined),
  )
  const widths = heads.map((head, column) => Math.max(head.length, ...texts.map((row) => row[column]!.length)))
  return [heads, ...texts]
    .map((row) => {
      const cells = row.map((cell, column) => (isNumeric[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      return cut(cells.join('  ').trimEnd(), width)
    })
    .join('\n')
}

function cellText(cell: Cell): string {
  if (cell === null || cell === undefined || cell === '') return '-'
  return typeof cell === 'number' ? String(cell) : oneLine(cell)
}

/** Printable, on one line. */
export function oneLine(text: string): string {
  return printable(text.replace(/\s+/g, ' '))
}

/** Nothing that could move the cursor or change colours. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/\p{Cc}/gu, '?')
}

export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}
