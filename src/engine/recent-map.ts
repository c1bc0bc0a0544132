/**
 * A map that forgets old entries: those of a half, together, once the newer half covers
 * `halfSeconds` or has `halfMax` entries.
 */
export class RecentMap<Value> {
  readonly #halfSeconds: number
  readonly #halfMax: number
  #newer = new Map<string, Value>()
  #older = new Map<string, Value>()
  #turnSeconds = 0

  constructor(halfSeconds: number, halfMax: number) {
    this.#halfSeconds = halfSeconds
    this.#halfMax = halfMax
  }

  get isEmpty(): boolean {
    return this.#newer.size + this.#older.size === 0
  }

  /** Forgets the older half if it is time to, at the Unix second `now`. */
  turn(now: number): void {
    if (now < this.#turnSeconds && this.#newer.size < this.#halfMax) return
    this.#older = this.#newer
    this.#newer = new Map()
    this.#turnSeconds = now + this.#halfSeconds
  }

  set(key: string, value: Value): void {
    this.#newer.set(key, value)
  }

  get(key: string): Value | undefined {
    return this.#newer.get(key) ?? this.#older.get(key)
  }

  /** Returns whether the key was there. */
  delete(key: string): boolean {
    return this.#newer.delete(key) || this.#older.delete(key)
  }

  /** All values, the older half first. */
  *values(): Generator<Value> {
    yield* this.#older.values()
    yield* this.#newer.values()
  }
}
