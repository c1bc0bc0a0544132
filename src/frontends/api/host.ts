import { isIP } from 'node:net'

export type HostRules = {
  /** Address that the server listens on. */
  readonly host: string
  readonly allowedHosts: readonly string[]
  readonly trustedProxies: readonly string[]
}

/**
 * Returns a function that checks the `Host` header of a request and returns true if it must be
 * refused. The check stops DNS rebinding: a web page whose own name resolves to a loopback address
 * reaches the API from the operator's browser, but with the page's name as `Host`.
 *
 * With `allowedHosts`, every name that is not in the list is refused. Without it, only a server on
 * a loopback address that has no trusted proxies checks the name, because a proxy may forward the
 * name that its client used. IP addresses, `localhost` and names without a dot, which are not
 * public, are always accepted.
 */
export function createHostGuard(rules: HostRules): (header: string) => boolean {
  const allowed = new Set(rules.allowedHosts.map(name => name.toLowerCase()))
  const isChecked =
    allowed.size > 0 || (isLoopback(rules.host) && rules.trustedProxies.length === 0)
  if (!isChecked) return () => false
  return header => {
    const name = hostName(header)
    return !(isLocalName(name) || isIP(name) !== 0 || allowed.has(name))
  }
}

/** The host of a `Host` header in lower case, without port, brackets and final dot. */
function hostName(header: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(header.trim()) ?? []
  return (bracketed ?? plain ?? header).toLowerCase().replace(/\.$/, '')
}

function isLocalName(name: string): boolean {
  return !name.includes('.') || name.endsWith('.localhost')
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1'
}
