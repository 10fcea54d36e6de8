/**
 * A device's deployer as a process of its own, to be killed at a crash point: deploy-child.ts <dataDir> <name> <version> [crash-loop].
 * Aliases are not desired. Says `committed` and ends when the version is, or `rolledback` when it has been in a crash loop;
 * says `started <version>` for what it starts.
 */
import { openDeployer } from '../../agent/deploy/open-deployer.ts'
import { identityDirectory, loadIdentity } from '../../agent/identity/identity.ts'
import { silentLogger } from '../../runtime/base/log.ts'

const [dataDir, name, version, what] = process.argv.slice(2) as [string, string, string, string | undefined]
const identity = await loadIdentity(identityDirectory(dataDir))
if (!identity) throw new Error('not enrolled')
const activator = {
  activate: async (_name: string, started: number) => void process.stdout.write(`started ${started}\n`),
  deactivate: async () => {},
  route: async () => {},
  gather: async (_name: string, aliases: ReadonlySet<string>) => {
    process.stdout.write(`gather ${[...aliases].join(' ')}\n`)
    return 0
  },
}
let changed = () => {}
const onChange = () => changed()
const deployer = await openDeployer({
  dataDir,
  identity,
  activator,
  logger: silentLogger,
  onChange,
  probationMs: 10,
  backoff: { firstMs: 10, maxMs: 50 },
})
deployer.start()
await deployer.apply({ revision: Number(version), functions: [{ name, version: Number(version), disabled: false }], hubTimeMs: 0 })
const isThere = () => deployer.functions.some((fn) => fn.version === Number(version) && fn.state === 'committed' && fn.ready)
const isRolledBack = () =>
  deployer.functions.some((fn) => fn.version === Number(version) && fn.state === 'rolledback') &&
  deployer.functions.some(({ state, ready }) => state === 'committed' && ready)
const until = async (isTrue: () => boolean) => {
  while (!isTrue()) await new Promise<void>((resolve) => (changed = resolve))
}
if (what === 'crash-loop') {
  await until(() => isThere() || isRolledBack())
  for (let end = 0; end < 3; end++) deployer.workerEnded(name, Number(version), 0, new Error('exit code 7'))
  await until(isRolledBack)
} else await until(isThere)
await deployer.settled()
await deployer.close()
process.stdout.write(what === 'crash-loop' ? 'rolledback\n' : 'committed\n')
