/** What /proc and /sys tell of this machine. Reading them costs microseconds and starts no process. */
import { readFileSync, readdirSync, statfsSync } from 'node:fs'

export interface Reading {
  readonly what: string
  readonly value: number
  readonly unit: string
}

let lastCpu = cpuTimes()
let lastNetwork = networkBytes()

/** Rates are counted since the call before. What this machine does not have is left out. */
export function readings(): Reading[] {
  const found: Array<Reading | undefined> = [cpu(), load(), memory(), disk(), network(), temperature()]
  return found
    .filter((reading) => reading !== undefined && Number.isFinite(reading.value))
    .map((reading) => ({ ...reading!, value: Math.round(reading!.value * 100) / 100 }))
}

function cpu(): Reading | undefined {
  const now = cpuTimes()
  const total = now.total - lastCpu.total
  const busy = now.busy - lastCpu.busy
  lastCpu = now
  return total > 0 ? { what: 'cpu', value: (busy / total) * 100, unit: '%' } : undefined
}

/** `cpu  user nice system idle iowait irq softirq steal ...` in clock ticks. */
function cpuTimes(): { total: number; busy: number } {
  const ticks = read('/proc/stat').split('\n')[0]?.trim().split(/\s+/).slice(1, 9).map(Number) ?? []
  const total = ticks.reduce((sum, value) => sum + value, 0)
  return { total, busy: total - (ticks[3] ?? 0) - (ticks[4] ?? 0) }
}

function load(): Reading {
  return { what: 'load', value: Number(read('/proc/loadavg').split(' ')[0]), unit: 'processes' }
}

function memory(): Reading {
  const kB = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(read('/proc/meminfo'))?.[1])
  return { what: 'memory', value: (1 - kB('MemAvailable') / kB('MemTotal')) * 100, unit: '%' }
}

function disk(): Reading {
  const { blocks, bavail } = statfsSync('/')
  return { what: 'disk', value: (1 - bavail / blocks) * 100, unit: '%' }
}

function network(): Reading | undefined {
  const now = networkBytes()
  const seconds = (now.atMs - lastNetwork.atMs) / 1000
  const bytes = now.bytes - lastNetwork.bytes
  lastNetwork = now
  return seconds > 0 && bytes >= 0 ? { what: 'network', value: bytes / seconds, unit: 'B/s' } : undefined
}

/** Received and sent, of all interfaces but loopback. */
function networkBytes(): { bytes: number; atMs: number } {
  let bytes = 0
  for (const line of read('/proc/net/dev').split('\n').slice(2)) {
    const [name = '', figures = ''] = line.split(':')
    const columns = figures.trim().split(/\s+/).map(Number)
    if (name.trim() !== '' && name.trim() !== 'lo') bytes += (columns[0] ?? 0) + (columns[8] ?? 0)
  }
  return { bytes, atMs: performance.now() }
}

/** The warmest zone that the kernel knows; virtual machines have none. */
function temperature(): Reading | undefined {
  const zones = list('/sys/class/thermal').filter((name) => name.startsWith('thermal_zone'))
  const degrees = zones
    .map((zone) => Number(read(`/sys/class/thermal/${zone}/temp`)) / 1000)
    .filter((value) => value > -50 && value < 200 && value !== 0)
  return degrees.length > 0 ? { what: 'temperature', value: Math.max(...degrees), unit: '°C' } : undefined
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
