/** Rows of the tables that Torrust-Actix has too, and of the ends of keys. */

export type TorrentRow = {
  readonly hash: string
  readonly seeds: number
  readonly peers: number
  readonly completed: number
}

export type ListRow = { readonly hash: string }

/** `timeout` is the Unix second at which the key expires; 0 for never. */
export type KeyRow = { readonly hash: string; readonly timeout: number }

/** `id` is a UUID or a decimal number, depending on `id_uuid`; `updated` in Unix seconds. */
export type UserRow = {
  readonly id: string
  readonly key: string
  /** Bytes, at most 2^63 - 1. */
  readonly uploaded: bigint
  readonly downloaded: bigint
  readonly completed: number
  readonly updated: number
  readonly active: boolean
}

/** A row of the table of keys as Torrust-Actix has it: a lifetime that starts when it is loaded. */
export type LifetimeRow = { readonly hash: string; readonly timeout: number }

/** The time at which a key expires, as long as the table of keys has this lifetime for it. */
export type KeyEndRow = { readonly hash: string; readonly lifetime: number; readonly end: number }
