/**
 * A child that must not outlive its parent. The parent holds the other end of stdin: when it is gone, by whatever death, the pipe
 * ends, and the child stops as if it had been told to (SIGTERM). A parent asks for this with DUNLIN_EXIT_ON_STDIN_END=1.
 */
export const EXIT_ON_STDIN_END = 'DUNLIN_EXIT_ON_STDIN_END'

/** A stop that hangs must not keep the process: nobody is left who could kill it. */
const STOP_MS_MAX = 20_000

/** Call it once, after the handler of SIGTERM is in place. Keeps nothing alive. */
export function exitWithParent(): void {
  if (process.env[EXIT_ON_STDIN_END] !== '1') return
  // Children of ours have another stdin; they must not inherit the order.
  delete process.env[EXIT_ON_STDIN_END]
  const onEnd = () => {
    process.stdin.removeAllListeners()
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), STOP_MS_MAX).unref()
    process.kill(process.pid, 'SIGTERM')
  }
  process.stdin.on('end', onEnd)
  process.stdin.on('error', onEnd)
  process.stdin.resume()
  if ('unref' in process.stdin) process.stdin.unref()
}
