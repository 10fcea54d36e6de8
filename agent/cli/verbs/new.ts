/** `dunlin new`: a function to begin with. */
import { createFromTemplate, templates } from '../../source/template.ts'
import type { Call } from '../call.ts'
import { Exit, usageError } from '../exit-codes.ts'
import { table } from '../table.ts'

export interface NewOptions {
  readonly name?: string
  readonly list?: boolean
}

export async function newFunction(
  { printer }: Call,
  template: string | undefined,
  folder: string | undefined,
  { name, list }: NewOptions,
): Promise<Exit> {
  if (list) {
    const known = templates()
    printer.result({ templates: known }, () => table(['TEMPLATE', 'WHAT IT IS'], Object.entries(known)))
    return Exit.ok
  }
  if (template === undefined) throw usageError(`Cannot begin without a template: ${Object.keys(templates()).join(', ')}`)
  const made = createFromTemplate(template, folder ?? template, name)
  printer.result(made, () =>
    [
      `${printer.paint('bold', made.name)} is in ${made.folder}: ${made.files.join(', ')}`,
      '',
      `  dunlin test ${made.folder}`,
      `  dunlin run ${made.folder} --watch`,
      `  dunlin deploy ${made.folder}`,
    ].join('\n'),
  )
  return Exit.ok
}
