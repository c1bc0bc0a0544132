import type { Bytes } from './bytes.ts'
import type { ExternalIp } from './external-ip.ts'
import { Scope, scopeOfIpv4, scopeOfIpv6 } from './ip.ts'
import {
  COMPACT_BYTES,
  Family,
  Flag,
  HASH_BYTES,
  type IpFamily,
  PEER_COUNT,
  PORT_BYTES,
  REPLY_FLAGS,
  REPLY_HEADER_BYTES,
} from './records.ts'

/**
 * Replaces the private and loopback addresses of peers in the announce reply at `at` with the
 * external address of their family. Flag.localPeers tells whether the reply may have such peers.
 * A peer without a replacement is removed, and so is a second peer of the same endpoint.
 */
export function replaceLocalPeers(reply: Bytes, at: number, external: ExternalIp): void {
  const { u8, view } = reply
  const flags = u8[at + REPLY_FLAGS] as number
  if ((flags & Flag.localPeers) === 0) return
  const ids = (flags & Flag.peerIds) !== 0
  const first = at + REPLY_HEADER_BYTES
  const counts = ([Family.ipv4, Family.ipv6] as const).map(of =>
    view.getUint16(at + PEER_COUNT[of], true),
  ) as [number, number]
  const stays: boolean[] = []
  let peer = first
  let end = first
  for (const family of [Family.ipv4, Family.ipv6] as const) {
    const width = COMPACT_BYTES[family]
    const last = peer + counts[family] * width
    const taken = takenPorts(reply, peer, last, family, external[family])
    const begin = end
    for (; peer < last; peer += width) {
      const stay = rewrite(reply, peer, family, external[family], taken)
      stays.push(stay)
      if (!stay) continue
      u8.copyWithin(end, peer, peer + width)
      end += width
    }
    view.setUint16(at + PEER_COUNT[family], (end - begin) / width, true)
  }
  if (!ids) return
  for (const stay of stays) {
    if (stay) {
      u8.copyWithin(end, peer, peer + HASH_BYTES)
      end += HASH_BYTES
    }
    peer += HASH_BYTES
  }
}

/** Ports of the peers that have the external address already. */
function takenPorts(
  { u8, view }: Bytes,
  from: number,
  last: number,
  family: IpFamily,
  external: Uint8Array | undefined,
): Set<number> {
  const taken = new Set<number>()
  const width = COMPACT_BYTES[family]
  for (let peer = from; external && peer < last; peer += width) {
    if (external.every((byte, n) => u8[peer + n] === byte)) {
      taken.add(view.getUint16(peer + width - PORT_BYTES))
    }
  }
  return taken
}

/** Gives a local peer the external address. Returns whether the reply may contain the peer. */
function rewrite(
  { u8, view }: Bytes,
  peer: number,
  family: IpFamily,
  external: Uint8Array | undefined,
  taken: Set<number>,
): boolean {
  const scope =
    family === Family.ipv4
      ? scopeOfIpv4(u8[peer] as number, u8[peer + 1] as number)
      : scopeOfIpv6(view, peer)
  if (scope === Scope.global) return true
  const port = view.getUint16(peer + COMPACT_BYTES[family] - PORT_BYTES)
  if (!external || taken.has(port)) return false
  taken.add(port)
  u8.set(external, peer)
  return true
}
