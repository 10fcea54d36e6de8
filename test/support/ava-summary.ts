/** Reads ava's report as it passes by, and counts. ava prints no number of passed tests when some failed, so passes are counted too. */
export class AvaSummary {
  #rest = ''
  #marks = 0
  readonly #numbers = new Map<string, number>()

  write(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) this.#read(line)
  }

  /** `12 passed, 0 failed`; a run that failed without a failed test (a crash, no test found) counts as one failure. */
  text(exitCode: number): string {
    if (this.#rest) this.#read(this.#rest)
    this.#rest = ''
    const sum = (...names: string[]): number => names.reduce((total, name) => total + (this.#numbers.get(name) ?? 0), 0)
    const counted = sum(
      'test failed',
      'hook failed',
      'known failure',
      'unhandled rejection',
      'uncaught exception',
      'test remained pending after a timeout',
    )
    const failed = exitCode !== 0 && counted === 0 ? 1 : counted
    const passed = this.#numbers.get('test passed') ?? this.#marks
    const skipped = sum('test skipped', 'test todo')
    return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
  }

  #read(coloured: string): void {
    // oxlint-disable-next-line no-control-regex -- colour codes begin with ESC
    const line = coloured.replace(/\u001b\[[\d;]*m/g, '')
    if (/^ {2}✔ /.test(line)) this.#marks++
    const found = /^ {2}(\d+) (.+?)(?: \[[\d:]+\])?$/.exec(line)
    // The numbers stand at the end: a later line of the same form replaces an earlier one.
    if (found)
      this.#numbers.set(found[2]!.replace(/^(test|hook|known failure|unhandled rejection|uncaught exception)s\b/, '$1'), Number(found[1]))
  }
}
