/** An agent's process with one worker of each kind named in argv: prints their process numbers as a line of JSON, then all workers are busy for ever. */
import path from 'node:path'
import { runtimes } from '../../../runtime/workers/registry.ts'
import { DrivenWorker } from './driven-worker.ts'
import { fixtureVersion, guestKinds } from './guest-kinds.ts'

const [directory = '', ...names] = process.argv.slice(2)
const started = await Promise.all(
  guestKinds
    .filter(({ name }) => names.includes(name))
    .map(async (kind) => {
      const version = fixtureVersion(kind, path.join(directory, kind.name))
      const driven = new DrivenWorker(version, await runtimes[version.config.runtime]())
      await driven.worker.start()
      const pid = Number((await driven.run('pid')).text)
      void driven.call(`print busy\n${kind.name.startsWith('python') ? 'backtrack' : 'spin'}`)
      await driven.until(() => driven.lines.includes('busy') || !kind.isProcess)
      return [kind.name, pid]
    }),
)
console.log(JSON.stringify(Object.fromEntries(started)))
