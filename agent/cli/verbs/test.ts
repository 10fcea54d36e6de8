/** `dunlin test`: gives a function its cases and compares what comes of them. */
import { relative } from 'node:path'
import { silentLogger } from '../../../runtime/base/log.ts'
import { findCases, runCases, type CaseResult } from '../../function-test/run-cases.ts'
import type { Call } from '../call.ts'
import { Exit } from '../exit-codes.ts'
import { oneLine } from '../table.ts'

export interface TestOptions {
  readonly cases: readonly string[]
  readonly update?: boolean
}

export async function test({ printer }: Call, path: string, { cases, update = false }: TestOptions): Promise<Exit> {
  const startedMs = performance.now()
  const files = cases.length > 0 ? cases : findCases(path)
  let started = { name: '', runtime: '' }
  const show = (text: string) => printer.isJson || printer.line(text)
  const results = await runCases(path, files, {
    isUpdating: update,
    logger: silentLogger,
    onStart: (name, runtime) => {
      started = { name, runtime }
      show(`${printer.paint('bold', name)} (${runtime})`)
    },
    onFile: (file) => show(`  ${relative('.', file)}`),
    onResult: (result) => {
      show(
        `    ${isGood(result) ? printer.paint('green', 'ok  ') : printer.paint('red', 'FAIL')}  ${oneLine(result.name)}  (${shownMs(result.ms)})`,
      )
      for (const difference of result.differences) show(`          ${oneLine(difference)}`)
    },
  })
  const failed = results.filter((result) => !isGood(result)).length
  const passed = results.length - failed
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  printer.result({ function: started.name, runtime: started.runtime, passed, failed, cases: results }, () => {
    const counts = [`${passed} passed`, ...(failed > 0 ? [printer.paint('red', `${failed} failed`)] : [])]
    return `\n${counts.join(', ')}${update ? ', the file says now what came' : ''} (${seconds} s)`
  })
  return failed > 0 ? Exit.failed : Exit.ok
}

function isGood(result: CaseResult): boolean {
  return result.differences.length === 0
}

function shownMs(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`
}
