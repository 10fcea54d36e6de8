/**
 * The agent as a process. Prints one JSON line on stdout when it serves, logs JSON lines on stderr. The first SIGTERM or SIGINT
 * drains, the second ends at once. Exit codes are those of the `dunlin` command (docs/cli.md).
 */
import { parseArgs } from 'node:util'
import { ConfigError } from '../config/config-error.ts'
import { loadAgentConfig, type AgentOverrides } from '../config/agent-config.ts'
import type { LogLevelName } from '../config/agent-types.ts'
import { codeOf, describeError } from '../runtime/base/errors.ts'
import { exitWithParent } from '../runtime/base/exit-with-parent.ts'
import { openLogger } from '../runtime/base/log.ts'
import { closeOnSignal, endWith } from '../runtime/base/process-end.ts'
import { openAgent, type Agent } from './agent.ts'
import { ServedSource } from './source/served-source.ts'

const EXIT = { failed: 1, usage: 2, tryAgain: 75, config: 78 } as const
const START_EXIT: Readonly<Record<string, number>> = {
  'config-invalid': EXIT.config,
  'port-taken': EXIT.config,
  'data-dir-locked': EXIT.tryAgain,
}
const STOP_MS_MAX = 15_000
/** The store lost its disk: a new start reads what is there and goes on. */
const EXIT_DISK = EXIT.tryAgain

const USAGE = `usage: dunlin agent [--config agent.yaml] [--data-dir DIR] [--name NAME] [--hub URL] [--claim-token-file FILE]
                    [--broker-listen HOST:PORT | --no-broker] [--http-listen HOST:PORT] [--log-level LEVEL] [--run FOLDER|FILE]`

async function main(): Promise<void> {
  process.umask(0o077)
  const flags = readFlags()
  const config = await loadAgentConfig(flags.config ?? null, overridesOf(flags))
  const logger = openLogger({ level: config.log.level, name: 'agent' })
  const onFatal = (error: Error) => {
    logger.error({ error: describeError(error) }, 'the store failed; stopping, so that nothing more is acknowledged')
    process.exit(EXIT_DISK)
  }
  process.on('uncaughtException', (error) => {
    logger.error({ error: error.stack ?? String(error) }, 'a bug ended the agent')
    process.exit(EXIT.failed)
  })
  let agent: Agent
  try {
    agent = await openAgent({ config, logger, onFatal, ...sourceOf(flags) })
  } catch (error) {
    endWith(describeError(error), START_EXIT[codeOf(error)] ?? EXIT.failed)
  }
  closeOnSignal(agent, logger, STOP_MS_MAX)
  exitWithParent()
  const { broker, http, socket, device } = agent
  process.stdout.write(`${JSON.stringify({ event: 'ready', broker, http, socket, device, pid: process.pid })}\n`)
}

type Flags = ReturnType<typeof readFlags>

function readFlags() {
  try {
    return parseArgs({
      options: {
        config: { type: 'string' },
        'data-dir': { type: 'string' },
        name: { type: 'string' },
        hub: { type: 'string' },
        'claim-token-file': { type: 'string' },
        'broker-listen': { type: 'string' },
        'no-broker': { type: 'boolean' },
        'http-listen': { type: 'string' },
        'log-level': { type: 'string' },
        run: { type: 'string' },
        inspect: { type: 'string' },
        'inspect-wait': { type: 'boolean' },
      },
    }).values
  } catch (error) {
    return endWith(`${(error as Error).message}\n${USAGE}`, EXIT.usage)
  }
}

/** `--inspect` is a port, or empty for the runtime's usual one. */
function sourceOf({ run, inspect, 'inspect-wait': isWaiting = false }: Flags): { source?: ServedSource } {
  if (run === undefined) return {}
  const debug = inspect === undefined ? null : { port: inspect === '' ? null : Number(inspect), isWaiting }
  return { source: new ServedSource(run, debug) }
}

function overridesOf(flags: Flags): AgentOverrides {
  return {
    ...(flags['data-dir'] === undefined ? {} : { dataDir: flags['data-dir'] }),
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(flags.hub === undefined && flags['claim-token-file'] === undefined
      ? {}
      : {
          hub: {
            ...(flags.hub === undefined ? {} : { url: flags.hub }),
            ...(flags['claim-token-file'] === undefined ? {} : { claimTokenFile: flags['claim-token-file'] }),
          },
        }),
    ...(flags['broker-listen'] === undefined ? {} : { broker: { listen: flags['broker-listen'] } }),
    ...(flags['no-broker'] === true ? { broker: { enabled: false } } : {}),
    ...(flags['http-listen'] === undefined ? {} : { http: { listen: flags['http-listen'] } }),
    // The schema refuses what is no level.
    ...(flags['log-level'] === undefined ? {} : { log: { level: flags['log-level'] as LogLevelName } }),
  }
}

main().catch((error: unknown) => endWith(describeError(error), error instanceof ConfigError ? EXIT.config : EXIT.failed))
