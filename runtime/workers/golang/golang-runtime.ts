import { FunctionError } from '../../base/errors.ts'
import { RingWorker } from '../ring-worker.ts'
import type { Runtime } from '../worker.ts'

/** Go handlers are built where they are written, and reach a device as native libraries. One that arrives as source does not start. */
export const golangRuntime: Runtime = {
  createWorker: (options) =>
    new RingWorker(options, async () => {
      throw new FunctionError('golang-source', 'Cannot run Go source on a device', {
        hint: 'deploy it with dunlin deploy, which builds it into a library',
      })
    }),
}
