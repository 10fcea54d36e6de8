import { FunctionError } from '../../base/errors.ts'
import type { Runtime } from '../worker.ts'

/** Go handlers are built where they are written, and reach a device as native libraries. One that arrives as source was not. */
export const golangRuntime: Runtime = {
  createWorker() {
    throw new FunctionError('golang-source', 'Cannot run Go source on a device', {
      hint: 'dunlin run and dunlin deploy build it into a library; deploy it with one of this version',
    })
  },
}
