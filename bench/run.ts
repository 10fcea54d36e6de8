/** `npm run bench -- ring`: runs benchmarks by name, or lists them. Each exports `run()` and prints a ratio against a reference of the same run. */
const BENCHMARKS: Record<string, () => Promise<{ run(): Promise<void> }>> = {
  ring: () => import('./ring.ts'),
  guests: () => import('./guests.ts'),
  shell: () => import('./shell.ts'),
  native: () => import('./native.ts'),
  ingest: () => import('./ingest.ts'),
  pipeline: () => import('./pipeline.ts'),
  http: () => import('./http.ts'),
  concurrency: () => import('./concurrency.ts'),
}

const names = process.argv.slice(2)
const unknown = names.filter((name) => !Object.hasOwn(BENCHMARKS, name))
if (names.length === 0 || unknown.length > 0) {
  if (unknown.length > 0) console.error(`Cannot run ${unknown.join(', ')}: there is no such benchmark`)
  console.error(`Usage: npm run bench -- <${Object.keys(BENCHMARKS).join('|')}>...`)
  process.exitCode = 2
} else {
  for (const name of names) await (await BENCHMARKS[name]!()).run()
}
