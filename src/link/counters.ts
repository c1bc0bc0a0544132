/** What one side of a link counts. Slots of LinkCounters. */
export const LinkCounter = {
  /** Frames sent, and records in them. */
  frames: 0,
  records: 1,
  /** Requests that were failed because the link broke. */
  failed: 2,
} as const
export type LinkCounter = (typeof LinkCounter)[keyof typeof LinkCounter]

/** Whole numbers in doubles: they do not wrap before 2^53. */
export type LinkCounters = Float64Array<ArrayBuffer>

export function createLinkCounters(): LinkCounters {
  return new Float64Array(Object.keys(LinkCounter).length)
}

export function countLink(counters: LinkCounters, counter: LinkCounter, amount: number): void {
  counters[counter] = (counters[counter] as number) + amount
}
