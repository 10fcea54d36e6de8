/** The `dunlin` command. agent/launch.js starts it with the right Node. */
import { CommanderError } from 'commander'
import { describeError, codeOf } from '../runtime/base/errors.ts'
import { Exit, exitCodeOf } from './cli/exit-codes.ts'
import { makeProgram } from './cli/verbs.ts'

// `dunlin get events | head` closes the pipe: that is the reader's right, and no error.
process.stdout.on('error', (error) => {
  process.exit(codeOf(error) === 'EPIPE' ? Exit.ok : Exit.failed)
})

async function main(args: readonly string[]): Promise<void> {
  if (['-V', '--version'].includes(args[0] ?? '')) args = ['version', ...args.slice(1)]
  const program = makeProgram((code) => {
    process.exitCode = code ?? Exit.ok
  })
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    process.exitCode = error instanceof CommanderError ? ofCommander(error) : told(error)
  }
}

/** Commander has said what is wrong; help that was asked for is no error. */
function ofCommander({ code, exitCode }: CommanderError): Exit {
  const isHelp = ['commander.helpDisplayed', 'commander.version'].includes(code)
  return isHelp || exitCode === 0 ? Exit.ok : Exit.usage
}

function told(error: unknown): Exit {
  const isDebug = process.env['DUNLIN_DEBUG'] === '1'
  const text = isDebug && error instanceof Error ? (error.stack ?? String(error)) : describeError(error)
  process.stderr.write(`dunlin: ${text}\n`)
  return exitCodeOf(error)
}

await main(process.argv.slice(2))
