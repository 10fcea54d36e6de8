import type { Device } from '../registry/devices.ts'

/** A device as the API shows it. */
export function deviceJson(device: Device): object {
  return {
    id: device.id,
    state: device.state,
    connected: device.connected === 1,
    lastSeen: iso(device.last_seen_ms),
    created: iso(device.created_ms),
    certificate: { serial: device.certificate_serial, expires: iso(device.certificate_expires_ms) },
    facts: JSON.parse(device.facts),
    desiredRevision: device.desired_revision,
    reported: device.reported === null ? null : JSON.parse(device.reported),
  }
}

export function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
