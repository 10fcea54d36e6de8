import type { Reported } from '../../config/wire.ts'

/**
 * What this board is, for the hub's list of devices: asked once, when the link is there, because systeminformation starts programs
 * for its answers. Nothing that identifies a person or opens anything (no serial numbers). Never rejects: what cannot be told is left out.
 */
export async function takeInventory(): Promise<Reported['facts']> {
  try {
    const { cpu, mem, osInfo, system } = await import('systeminformation')
    const [board, processor, memory, os] = await Promise.all([system(), cpu(), mem(), osInfo()])
    const facts = {
      board: [board.manufacturer, board.model].filter((text) => text !== '' && text !== '-').join(' '),
      cpu: [processor.manufacturer, processor.brand].filter(Boolean).join(' '),
      cores: processor.cores,
      memoryMiB: Math.round(memory.total / 1024 ** 2),
      distribution: [os.distro, os.release].filter(Boolean).join(' '),
      kernel: os.kernel,
    }
    return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== '' && value !== 0))
  } catch {
    return {}
  }
}
