import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
/** What is measured after it is held, and not only not yet freed. */
export const collectGarbage = runInNewContext('gc') as () => void
