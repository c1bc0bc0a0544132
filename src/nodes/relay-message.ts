import { pack, unpack } from 'msgpackr'
import type { OfferOrigin, Relayed } from '../frontends/websocket/relay.ts'
import { WORKER_IDS } from '../protocol/connection.ts'
import { OFFER_ID_CHARACTERS_MAX } from '../protocol/limits.ts'
import { HASH_BYTES } from '../protocol/records.ts'

/** An offer or answer on its way to another node. Workers are those of their own node. */
export type RelayMessage = {
  /** Name of the sending node, and the epochs of both nodes. */
  readonly from: string
  readonly fromEpoch: number
  readonly toEpoch: number
  readonly message: Relayed
}

/** Another layout has another number. */
const VERSION = 1
/** Elements of an answer, and of an offer. */
const ANSWER_LENGTH = 9
const OFFER_LENGTH = ANSWER_LENGTH + 5

/**
 * Bytes of a message that another node receives: a session description of 16 KiB, escaped in JSON,
 * and its surroundings.
 */
export const RELAY_BYTES_MAX = 20 * 1024

/** Characters of an address by which sockets are counted, one for each byte. */
const ADDRESS_CHARACTERS_MAX = 16
const NAME_CHARACTERS_MAX = 100

/** The message as an array in MessagePack. */
export function writeRelayMessage({ from, fromEpoch, message, toEpoch }: RelayMessage): Buffer {
  const { infoHash, offer, peerId, socket, text, worker } = message
  const fields = [VERSION, from, fromEpoch, toEpoch, worker, socket, infoHash, peerId, text]
  if (!offer) return pack(fields)
  const { address, offerId } = offer
  return pack([...fields, offer.worker, offer.socket, offer.peerId, offerId, address])
}

/** Reads a message and never throws; undefined if it is malformed or of another version. */
export function readRelayMessage(data: Buffer): RelayMessage | undefined {
  if (data.length > RELAY_BYTES_MAX) return undefined
  let fields: unknown
  try {
    fields = unpack(data)
  } catch {
    return undefined
  }
  if (!Array.isArray(fields) || fields[0] !== VERSION) return undefined
  if (fields.length !== ANSWER_LENGTH && fields.length !== OFFER_LENGTH) return undefined
  const [, from, fromEpoch, toEpoch, worker, socket, infoHash, peerId, text] = fields as unknown[]
  const offer = fields.length === OFFER_LENGTH ? readOrigin(fields.slice(ANSWER_LENGTH)) : undefined
  const isWhole =
    isText(from, NAME_CHARACTERS_MAX) &&
    isU32(fromEpoch) &&
    isU32(toEpoch) &&
    isWorker(worker) &&
    isU32(socket) &&
    isHash(infoHash) &&
    isHash(peerId) &&
    isText(text, RELAY_BYTES_MAX) &&
    (fields.length === ANSWER_LENGTH || offer !== undefined)
  if (!isWhole) return undefined
  return { from, fromEpoch, toEpoch, message: { worker, socket, infoHash, peerId, text, offer } }
}

function readOrigin(fields: readonly unknown[]): OfferOrigin | undefined {
  const [worker, socket, peerId, offerId, address] = fields
  const isWhole =
    isWorker(worker) &&
    isU32(socket) &&
    isHash(peerId) &&
    isText(offerId, OFFER_ID_CHARACTERS_MAX) &&
    isText(address, ADDRESS_CHARACTERS_MAX)
  return isWhole ? { worker, socket, peerId, offerId, address } : undefined
}

function isU32(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32
}

function isWorker(value: unknown): value is number {
  return isU32(value) && value < WORKER_IDS
}

function isText(value: unknown, charactersMax: number): value is string {
  return typeof value === 'string' && value.length <= charactersMax
}

function isHash(value: unknown): value is string {
  return typeof value === 'string' && value.length === HASH_BYTES
}
