/** An agent in small: starts a native worker in the folder named, prints its process number, and has it spin until somebody ends it all. */
import { runtimes } from '../../runtime/workers/registry.ts'
import { DrivenWorker } from './guests/driven-worker.ts'
import { fixtureVersion, guestKinds } from './guests/guest-kinds.ts'

const version = fixtureVersion(
  guestKinds.find(({ name }) => name === 'native')!,
  process.argv[2]!,
)
const driven = new DrivenWorker(version, await runtimes.native())
await driven.worker.start()
const { text } = await driven.run('pid')
const spinning = driven.run('log info spinning', 'spin')
await driven.until(() => driven.lines.includes('spinning'))
console.log(text)
await spinning
