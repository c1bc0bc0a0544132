import type { Histogram } from '../counters/histogram.ts'
import type { MetricName } from './catalogue.ts'

export type Labels = Readonly<Record<string, string>>

/** One line of a metric. A line of a histogram names its part, such as a bucket. */
export type Sample = {
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
  readonly metricName?: string
}

/** The lines of all metrics at one moment. Every component adds its own. */
export class Samples {
  readonly #lines = new Map<MetricName, Sample[]>()

  add(name: MetricName, value: number, labels: Labels = {}): void {
    this.#linesOf(name).push({ labels, value })
  }

  addHistogram(
    name: MetricName,
    histogram: Histogram,
    bounds: readonly number[],
    labels: Labels = {},
  ): void {
    const lines = this.#linesOf(name)
    let count = 0
    for (const [n, bound] of [...bounds, '+Inf'].entries()) {
      count += histogram[n + 1] as number
      lines.push({ labels: { le: bound, ...labels }, value: count, metricName: `${name}_bucket` })
    }
    lines.push({ labels, value: histogram[0] as number, metricName: `${name}_sum` })
    lines.push({ labels, value: count, metricName: `${name}_count` })
  }

  /** Undefined for a metric that no component has, such as those of the database without one. */
  linesOf(name: MetricName): readonly Sample[] | undefined {
    return this.#lines.get(name)
  }

  /** The values of the lines that have all of `labels`. */
  values(name: MetricName, labels: Labels = {}): number[] {
    const wanted = Object.entries(labels)
    const lines = this.#lines.get(name) ?? []
    return lines
      .filter(line => wanted.every(([label, value]) => line.labels[label] === value))
      .map(({ value }) => value)
  }

  /** The sum of these lines; 0 if there is none. */
  sum(name: MetricName, labels: Labels = {}): number {
    return this.values(name, labels).reduce((sum, value) => sum + value, 0)
  }

  #linesOf(name: MetricName): Sample[] {
    const lines = this.#lines.get(name) ?? []
    this.#lines.set(name, lines)
    return lines
  }
}

/** Label values of the address families, with their index in counters. */
export const FAMILY_LABELS = [
  ['ipv4', 0],
  ['ipv6', 1],
] as const

/** `missing_info_hash` for missingInfoHash. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}
