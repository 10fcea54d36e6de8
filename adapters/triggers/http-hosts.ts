/**
 * Which Host a request may name. A page that a browser on this machine shows can make its own name point to 127.0.0.1 (DNS
 * rebinding) and would then be of our origin; it cannot change the Host it is sent with.
 */
const NAMES_KEPT_MAX = 64
const LOOPBACK_V4 = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/

export type HostCheck = (host: string | undefined) => boolean

/** `allowed` null: loopback names where only this machine can connect, any elsewhere. `*` is any; `*.example.com` what is below it. */
export function hostCheck(allowed: readonly string[] | null, listenHost: string): HostCheck {
  if (allowed === null && !isLoopbackName(listenHost)) return () => true
  if (allowed?.includes('*')) return () => true
  const names = (allowed ?? []).map((name) => name.toLowerCase())
  const known = new Map<string, boolean>()
  return (host) => {
    // HTTP/1.0 without a Host: no browser.
    if (host === undefined) return true
    let isAllowed = known.get(host)
    if (isAllowed === undefined) {
      const name = nameOf(host)
      isAllowed = isLoopbackName(name) || names.some((one) => one === name || (one.startsWith('*.') && name.endsWith(one.slice(1))))
      if (known.size < NAMES_KEPT_MAX) known.set(host, isAllowed)
    }
    return isAllowed
  }
}

/** Without port and brackets, lower-case, without a dot at its end. */
function nameOf(host: string): string {
  const end = host.startsWith('[') ? host.indexOf(']') : host.lastIndexOf(':')
  const name = host.startsWith('[') ? host.slice(1, end) : end === -1 ? host : host.slice(0, end)
  return name.toLowerCase().replace(/\.$/, '')
}

export function isLoopbackName(name: string): boolean {
  return LOOPBACK_V4.test(name) || name === '::1' || name === 'localhost' || name.endsWith('.localhost')
}

/** Of a socket: `::ffff:127.0.0.1` is loopback too. */
export function isLoopbackAddress(address: string | undefined): boolean {
  return address !== undefined && isLoopbackName(address.replace(/^::ffff:/, ''))
}
