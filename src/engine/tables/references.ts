/**
 * Integers of the shared memory that must not be mixed up. They are plain numbers at run time;
 * the brands exist for the compiler only.
 */
declare const brand: unique symbol
type Branded<Name extends string> = number & { readonly [brand]: Name }

/** Byte offset in an arena. */
export type ByteOffset = Branded<'ByteOffset'>
/** Byte offset of a stripe's head. */
export type StripeHead = Branded<'StripeHead'>
/** Byte offset of a torrent; NO_TORRENT when there is none. */
export type TorrentRef = Branded<'TorrentRef'>
/** Byte offset of the head of a peer list; NO_LIST when there is none. */
export type ListRef = Branded<'ListRef'>
/** Position of a peer in its list; NO_SLOT when there is none. */
export type Slot = Branded<'Slot'>

export const NO_TORRENT = 0 as TorrentRef
export const NO_LIST = 0 as ListRef
export const NO_SLOT = -1 as Slot
