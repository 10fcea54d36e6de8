import { AGENT_MAIN, HUB_MAIN, replaceProcess } from '../replace-process.ts'

/** `dunlin hub` and `dunlin agent` become hub/main.ts and agent/main.ts. */
export const becomeHub = (args: readonly string[]): never => replaceProcess(HUB_MAIN, args)
export const becomeAgent = (args: readonly string[]): never => replaceProcess(AGENT_MAIN, args)
