/** What children of the agent have in common. */

/** Variables of the agent's environment that a function sees; everything else would be a leak. */
const PASSED_ON = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR']

export function functionEnvironment(own: ReadonlyArray<{ readonly name: string; readonly value: string }>): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {}
  for (const name of PASSED_ON) if (process.env[name] !== undefined) env[name] = process.env[name]
  for (const { name, value } of own) env[name] = value
  return env
}

/** Kills a child that leads its own process group, and what it has forked into that group. */
export function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // ESRCH: nobody is left.
  }
}
