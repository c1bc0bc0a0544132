import type { Bytes } from '../protocol/bytes.ts'
import { Failure } from '../protocol/failures.ts'
import {
  isMapped,
  isPublicIpv4,
  isPublicIpv6,
  MAPPED_AT,
  Scope,
  scopeOfIpv4,
  scopeOfIpv6,
} from '../protocol/ip.ts'
import {
  ADDRESS,
  CLIENT_ADDRESS,
  FAMILY,
  Family,
  FLAGS,
  Flag,
  PEER_ID,
  PORT,
  SOURCE,
} from '../protocol/records.ts'
import { type ClientPrefixes, compilePrefixes, hasPrefix } from './client-prefixes.ts'
import type { Exchange } from './current-announce.ts'
import { type Completions, createCompletions } from './tables/completions.ts'
import { type HashKey, hashSource } from './tables/keyed-hash.ts'
import { createRateBuckets, type Rate, type RateBuckets, takeToken } from './tables/rate-buckets.ts'
import {
  addOne,
  createCounters,
  readCounter,
  type SharedCounters,
} from './tables/shared-counters.ts'

/** Ports below it are for privileged services (RFC 6335 §6). */
const PRIVILEGED_PORTS = 1024
const MINUTE_MILLIS = 60_000

/** Limits for clients of every protocol; 0, false and [] are no limit. It can be cloned. */
export type LimitSettings = {
  /** Announces per minute of one IPv4 address or IPv6 /64, and how many of these at once. */
  readonly announcesPerAddress: number
  readonly announcesBurst: number
  /** Torrents that announces may create. */
  readonly maxTorrents: number
  /** Peers of one IPv4 address or IPv6 /64 in one torrent. */
  readonly peersPerAddress: number
  /** Percent of the memory for swarms that peers of one IPv4 address or IPv6 /64 may fill. */
  readonly memoryPerAddress: number
  /** Whether a leecher above peersPerAddress gets peers without being added; else it is refused. */
  readonly serveExcessLeechers: boolean
  /** Count a `completed` once per torrent, peer id and address within a day. */
  readonly completedOncePerDay: boolean
  readonly refusePrivateAddresses: boolean
  readonly refusePrivilegedPorts: boolean
  readonly refusePortZero: boolean
  /** Prefixes of peer ids, in Latin-1. */
  readonly clientBlacklist: readonly string[]
  readonly clientWhitelist: readonly string[]
}

export const NO_LIMITS: LimitSettings = {
  announcesPerAddress: 0,
  announcesBurst: 0,
  maxTorrents: 0,
  peersPerAddress: 0,
  memoryPerAddress: 0,
  serveExcessLeechers: true,
  completedOncePerDay: false,
  refusePrivateAddresses: false,
  refusePrivilegedPorts: false,
  refusePortZero: false,
  clientBlacklist: [],
  clientWhitelist: [],
}

/** The shared memory of the limits. */
export type SharedLimits = {
  readonly buckets: SharedArrayBuffer
  readonly counters: SharedArrayBuffer
  readonly completions: SharedArrayBuffer
}

export type Limits = {
  /** Whether `checkLimits` has anything to check. */
  readonly isChecked: boolean
  readonly rate: Rate | undefined
  readonly maxTorrents: number
  readonly peersPerAddress: number
  /** Peers of one IPv4 address or IPv6 /64 in all torrents; 0 for no limit. */
  readonly peersPerSource: number
  readonly serveExcessLeechers: boolean
  readonly publicOnly: boolean
  readonly completedOncePerDay: boolean
  readonly portMin: number
  readonly blacklist: ClientPrefixes | undefined
  readonly whitelist: ClientPrefixes | undefined
  readonly buckets: RateBuckets
  readonly counters: SharedCounters
  readonly completions: Completions
}

/** Maps each configured limit to the failure returned when it is exceeded. */
const LIMITS = {
  announces_per_address: Failure.tooManyAnnounces,
  max_torrents: Failure.tooManyTorrents,
  peers_per_address: Failure.tooManyPeers,
  memory_per_address: Failure.addressShare,
  downloads_per_user: Failure.tooManyDownloads,
  peers_per_user: Failure.tooManyUserPeers,
  refuse_private_addresses: Failure.privateAddress,
  refuse_privileged_ports: Failure.privilegedPort,
  refuse_port_zero: Failure.portZero,
  client_blacklist: Failure.blacklistedClient,
  client_whitelist: Failure.unlistedClient,
} as const

export type LimitName = keyof typeof LIMITS

/** Memory of a peer that is alone in its torrent, which is the most that a peer takes. */
const LONE_PEER_BYTES = 160

/** One counter per failure; most failures do not belong to a limit. */
const COUNTERS = Object.keys(Failure).length

export function createLimits(): SharedLimits {
  return {
    buckets: createRateBuckets(),
    counters: createCounters(COUNTERS),
    completions: createCompletions(),
  }
}

/** Creates one thread's checks; again, over the same memory, when the settings change. */
export function openLimits(
  shared: SharedLimits,
  settings: LimitSettings,
  memoryBytes: number,
): Limits {
  const { announcesBurst, announcesPerAddress } = settings
  const rate =
    announcesPerAddress > 0
      ? { period: Math.ceil(MINUTE_MILLIS / announcesPerAddress), burst: announcesBurst }
      : undefined
  const portMin = settings.refusePrivilegedPorts
    ? PRIVILEGED_PORTS
    : settings.refusePortZero
      ? 1
      : 0
  const blacklist = compilePrefixes(settings.clientBlacklist)
  const whitelist = compilePrefixes(settings.clientWhitelist)
  const publicOnly = settings.refusePrivateAddresses
  return {
    isChecked: publicOnly || portMin > 0 || [rate, blacklist, whitelist].some(Boolean),
    rate,
    maxTorrents: settings.maxTorrents,
    peersPerAddress: settings.peersPerAddress,
    peersPerSource: Math.ceil((memoryBytes * settings.memoryPerAddress) / 100 / LONE_PEER_BYTES),
    serveExcessLeechers: settings.serveExcessLeechers,
    publicOnly,
    completedOncePerDay: settings.completedOncePerDay,
    portMin,
    blacklist,
    whitelist,
    buckets: new Int32Array(shared.buckets),
    counters: new Uint32Array(shared.counters),
    completions: new Int32Array(shared.completions),
  }
}

/**
 * Checks that do not need the torrent. The rate limit comes first, so that rejected announces count
 * against it.
 */
export function checkLimits(
  limits: Limits,
  key: HashKey,
  { request, at, nowSeconds }: Exchange,
): Failure {
  const { publicOnly, blacklist, whitelist } = limits
  const { u8, view } = request
  if (!takeRate(limits, key, request, at, nowSeconds)) {
    return limited(limits, Failure.tooManyAnnounces)
  }
  if (blacklist && hasPrefix(blacklist, u8, at + PEER_ID)) {
    return limited(limits, Failure.blacklistedClient)
  }
  if (whitelist && !hasPrefix(whitelist, u8, at + PEER_ID)) {
    return limited(limits, Failure.unlistedClient)
  }
  if (publicOnly && !isPublic(u8, at) && !isReplaced(u8, view, at))
    return limited(limits, Failure.privateAddress)
  if (limits.portMin > 0 && u8[at + FAMILY] !== Family.websocket) {
    const port = view.getUint16(at + PORT, true)
    if (port === 0) return limited(limits, Failure.portZero)
    if (port < limits.portMin) return limited(limits, Failure.privilegedPort)
  }
  return Failure.none
}

/** Counts an announce against the rate limit of its address; false if the limit is exceeded. */
export function takeRate(
  { rate, buckets }: Limits,
  key: HashKey,
  request: Bytes,
  at: number,
  nowSeconds: number,
): boolean {
  return !rate || takeToken(buckets, hashOfSource(key, request, at), nowSeconds, rate)
}

/** Whether other peers can reach the address; WebSocket peers are reached through the tracker. */
function isPublic(u8: Uint8Array, at: number): boolean {
  const family = u8[at + FAMILY]
  if (family === Family.ipv4) return isPublicIpv4(u8, at + ADDRESS)
  return family !== Family.ipv6 || isPublicIpv6(u8, at + ADDRESS)
}

/** Whether public clients are given an external address in place of this local one. */
function isReplaced(u8: Uint8Array, view: DataView, at: number): boolean {
  const flags = u8[at + FLAGS]! & (Flag.localPeers | Flag.claimedAddress)
  if (flags !== Flag.localPeers) return false
  const address = at + ADDRESS
  const scope =
    u8[at + FAMILY] === Family.ipv4
      ? scopeOfIpv4(u8[address]!, u8[address + 1]!)
      : scopeOfIpv6(view, address)
  return scope === Scope.private || scope === Scope.loopback
}

/**
 * Hash of the address that the announce came from, even if it claims another one: an IPv4 address,
 * or an IPv6 /64, which is what one customer usually controls.
 */
function hashOfSource(key: HashKey, { u8, view }: Bytes, at: number): number {
  const claimed = (u8[at + FLAGS]! & Flag.claimedAddress) !== 0
  if (claimed) return hashSource(key, view, at + SOURCE, false)
  const family = u8[at + FAMILY]
  if (family !== Family.websocket) {
    return hashSource(key, view, at + ADDRESS, family === Family.ipv4)
  }
  const client = at + CLIENT_ADDRESS
  const isIpv4 = isMapped(u8, client)
  return hashSource(key, view, isIpv4 ? client + MAPPED_AT : client, isIpv4)
}

/** Counts the failure of a limit and returns it. */
export function limited(limits: Limits, failure: Failure): Failure {
  addOne(limits.counters, failure)
  return failure
}

/** Announces that each limit has refused since the start. */
export function limitCounts({ counters }: Limits): Record<LimitName, number> {
  const counts = Object.entries(LIMITS).map(([name, failure]) => [
    name,
    readCounter(counters, failure),
  ])
  return Object.fromEntries(counts) as Record<LimitName, number>
}
