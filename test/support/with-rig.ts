import test, { type ExecutionContext } from 'ava'
import { ProcessorRig } from './processor-rig.ts'
import { tempDir } from './temp-dir.ts'

/** `test('title', withRig, async (t, rig) => ...)`: a processor on a store of the test's own, closed after it. */
export const withRig = test.macro(async (t: ExecutionContext, run: (t: ExecutionContext, rig: ProcessorRig) => Promise<void>) => {
  const rig = await ProcessorRig.open(tempDir(t))
  try {
    await run(t, rig)
  } finally {
    await rig.close()
  }
})
