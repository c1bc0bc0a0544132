/** Memory that a queue may use for each of its events, on average. */
const BYTES_PER_LINE = 1024

/** Bytes of a batch: what web servers accept as a body by default. */
const BATCH_BYTES_MAX = 1024 * 1024

type Line = { readonly text: string; readonly since: number }

/** A bounded queue of lines, each with the time since which it waits. */
export class LineQueue {
  readonly #capacity: number
  #lines: Line[] = []
  /** Lines at the start of the array that are removed already. */
  #head = 0
  #bytes = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get length(): number {
    return this.#lines.length - this.#head
  }

  /** The time since which the oldest line waits; undefined without lines. */
  get oldest(): number | undefined {
    return this.#lines[this.#head]?.since
  }

  /** Adds a line. Returns false if the queue is full. */
  add(text: string, since: number): boolean {
    const isFull = this.length >= this.#capacity
    if (isFull || this.#bytes + text.length > this.#capacity * BYTES_PER_LINE) return false
    this.#lines.push({ text, since })
    this.#bytes += text.length
    return true
  }

  /** The oldest lines, at most `count`, and at most BATCH_BYTES_MAX of them, but at least one. */
  first(count: number): string[] {
    const lines: string[] = []
    let bytes = 0
    for (let n = this.#head; n < this.#lines.length && lines.length < count; n++) {
      const { text } = this.#lines[n] as Line
      bytes += text.length
      if (bytes > BATCH_BYTES_MAX && lines.length > 0) break
      lines.push(text)
    }
    return lines
  }

  /** Removes the oldest `count` lines. */
  remove(count: number): void {
    for (let n = this.#head; n < this.#head + count; n++) {
      this.#bytes -= this.#lines[n]?.text.length ?? 0
    }
    this.#head += count
    if (this.#head * 2 < this.#lines.length) return
    this.#lines = this.#lines.slice(this.#head)
    this.#head = 0
  }
}
