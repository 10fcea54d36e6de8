/**
 * Named places where a power cut would be most unkind. DUNLIN_CRASH_POINT picks one, and the process kills itself there with
 * SIGKILL: nothing is flushed, no handler runs. Fault tests walk the registry; in production the variable is not set.
 */
export const CRASH_POINTS = [
  'identity:after-key',
  'identity:after-answer',
  'identity:before-enrolment',
  'deploy:after-fetching',
  'deploy:mid-fetch',
  'deploy:after-verifying',
  'deploy:mid-staging',
  'deploy:before-rename',
  'deploy:after-rename',
  'deploy:after-activating',
  'deploy:after-probation',
  'deploy:before-current',
  'deploy:after-current',
  'deploy:before-cleaning',
  'rollback:quarantined',
  'rollback:after-current',
  'rollback:after-activating',
  'alias:stopped',
  'alias:not-current',
  'alias:forgotten',
  'alias:mid-move',
  'file:after-commit',
  'file:after-note',
  'file:after-move',
] as const
export type CrashPoint = (typeof CRASH_POINTS)[number]

export function crashPoint(name: CrashPoint): void {
  if (process.env.DUNLIN_CRASH_POINT === name) process.kill(process.pid, 'SIGKILL')
}
