/**
 * The hub as a process. Prints one JSON line on stdout when it serves, logs on stderr.
 * Exit codes are those of the `dunlin` command (docs/cli.md); 75 also when the disk failed under the database: a new start reads what is there.
 */
import { parseArgs } from 'node:util'
import { ConfigError } from '../config/config-error.ts'
import { loadHubConfig, type HubOverrides } from '../config/hub-config.ts'
import type { LogLevelName } from '../config/agent-types.ts'
import { codeOf, describeError } from '../runtime/base/errors.ts'
import { exitWithParent } from '../runtime/base/exit-with-parent.ts'
import { openLogger } from '../runtime/base/log.ts'
import { closeOnSignal, endWith } from '../runtime/base/process-end.ts'
import { openHub, type Hub } from './hub.ts'

const EXIT = { failed: 1, usage: 2, tryAgain: 75, config: 78 } as const
const START_EXIT: Readonly<Record<string, number>> = { 'port-taken': EXIT.config, 'data-dir-in-use': EXIT.tryAgain }
const STOP_TIMEOUT_MS = 10_000

const USAGE = `usage: hub/main.ts [--config hub.yaml] [--data-dir DIR] [--name NAME]... [--api-listen HOST:PORT] [--gateway-listen HOST:PORT] [--log-level LEVEL]
`

async function main(): Promise<void> {
  process.umask(0o077)
  const { config: file, ...flags } = readFlags()
  const config = await loadHubConfig(file ?? null, overridesOf(flags))
  const logger = openLogger({ level: config.log.level, name: 'hub' })
  const onBroken = (error: Error) => {
    logger.error({ err: error }, 'the disk failed; stopping, so that nothing more is acknowledged')
    process.exit(EXIT.tryAgain)
  }
  let hub: Hub
  try {
    hub = await openHub({ config, logger, onBroken })
  } catch (error) {
    endWith(describeError(error), START_EXIT[codeOf(error)] ?? EXIT.failed)
  }
  closeOnSignal(hub, logger, STOP_TIMEOUT_MS)
  exitWithParent()
  const { api, gateway, caFile, adminTokenFile } = hub
  process.stdout.write(`${JSON.stringify({ event: 'ready', api, gateway, caFile, adminTokenFile, pid: process.pid })}\n`)
}

type Flags = ReturnType<typeof readFlags>

function readFlags() {
  try {
    return parseArgs({
      options: {
        config: { type: 'string' },
        'data-dir': { type: 'string' },
        name: { type: 'string', multiple: true },
        'api-listen': { type: 'string' },
        'gateway-listen': { type: 'string' },
        'log-level': { type: 'string' },
      },
    }).values
  } catch (error) {
    return endWith(`${(error as Error).message}\n${USAGE}`, EXIT.usage)
  }
}

function overridesOf(flags: Omit<Flags, 'config'>): HubOverrides {
  return {
    ...(flags['data-dir'] === undefined ? {} : { dataDir: flags['data-dir'] }),
    ...(flags.name === undefined ? {} : { names: flags.name }),
    ...(flags['api-listen'] === undefined ? {} : { api: flags['api-listen'] }),
    ...(flags['gateway-listen'] === undefined ? {} : { gateway: flags['gateway-listen'] }),
    // The schema refuses what is no level.
    ...(flags['log-level'] === undefined ? {} : { log: { level: flags['log-level'] as LogLevelName } }),
  }
}

main().catch((error: unknown) => endWith(describeError(error), error instanceof ConfigError ? EXIT.config : EXIT.failed))
