import { existsSync, readdirSync, statSync } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import { InputError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import { readCases, type TestCase } from './case-file.ts'
import { differences, type Outcome } from './compare.ts'
import { TestBed } from './test-bed.ts'
import { updateCases } from './update-cases.ts'

export interface CaseResult {
  readonly file: string
  readonly name: string
  /** None: passed. */
  readonly differences: readonly string[]
  readonly ms: number
}

export interface RunCasesOptions {
  readonly isUpdating: boolean
  readonly logger: Logger
  readonly onStart: (name: string, runtime: string) => void
  readonly onFile: (file: string) => void
  readonly onResult: (result: CaseResult) => void
}

/**
 * The files of cases that belong to a function: `tests/*.yaml` in its folder; `hello.test.yaml` beside `hello.py`.
 * Throws InputError 'cases-missing' when there is none.
 */
export function findCases(path: string): string[] {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
  const folder = isFolder || basename(path).startsWith('function.y') ? join(isFolder ? path : dirname(path), 'tests') : undefined
  const files =
    folder === undefined
      ? ['.test.yaml', '.test.yml'].map((end) => path.slice(0, -extname(path).length) + end).filter((file) => existsSync(file))
      : existsSync(folder)
        ? readdirSync(folder)
            .filter((name) => /\.ya?ml$/.test(name))
            .toSorted()
            .map((name) => join(folder, name))
        : []
  if (files.length > 0) return files
  const expected = folder === undefined ? `${path.slice(0, -extname(path).length)}.test.yaml` : `${folder}/*.yaml`
  throw new InputError('cases-missing', `Cannot find cases for "${path}"`, { hint: `write ${expected}; docs/testing.md shows one` })
}

/** Each file begins with a new worker and empty state; its cases follow each other. All files are read before the first is run. */
export async function runCases(path: string, files: readonly string[], options: RunCasesOptions): Promise<CaseResult[]> {
  const read = files.map((file) => ({ file, cases: readCases(file) }))
  const results: CaseResult[] = []
  for (const [index, { file, cases }] of read.entries()) {
    const bed = await TestBed.open(path, options.logger)
    try {
      if (index === 0) options.onStart(bed.functionName, bed.runtime)
      options.onFile(file)
      results.push(...(await runFile(bed, file, cases, options)))
    } finally {
      await bed.close()
    }
  }
  return results
}

async function runFile(bed: TestBed, file: string, cases: readonly TestCase[], options: RunCasesOptions): Promise<CaseResult[]> {
  const results: CaseResult[] = []
  const changed = new Map<number, Outcome>()
  for (const [index, { name, event, expected }] of cases.entries()) {
    const outcome = await bed.give(event, stateKeys(cases[index]!))
    const found = differences(expected, outcome)
    const isChanged = options.isUpdating && (found.length > 0 || expected === undefined)
    if (isChanged) changed.set(index, outcome)
    const result = { file, name, differences: isChanged ? [] : found, ms: outcome.ms }
    options.onResult(result)
    results.push(result)
  }
  if (changed.size > 0) updateCases(file, changed, (index) => stateKeys(cases[index]!))
  return results
}

function stateKeys({ expected }: TestCase): string[] {
  return Object.keys(expected?.state ?? {})
}
