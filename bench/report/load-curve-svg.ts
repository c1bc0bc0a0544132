import { median } from '../measure.ts'
import type { Result } from '../scenario.ts'
import { valuesOf } from './table.ts'

const WIDTH = 760
const PANEL = 220
const LEFT = 70
const RIGHT = 130
const TOP = 40
const GAP = 60

type Point = { readonly x: number; readonly y: number }
type Line = { readonly name: string; readonly color: string; readonly points: readonly Point[] }
type Scale = (value: number) => number

/** Maps a range to pixels on a logarithmic scale. */
function logScale(from: number, to: number, start: number, end: number): Scale {
  const [low, high] = [Math.log10(from), Math.log10(to)]
  return value => start + ((Math.log10(value) - low) / (high - low)) * (end - start)
}

/** Returns 1, 2 and 5 times the powers of ten in a range. */
function ticks(from: number, to: number): number[] {
  const all: number[] = []
  for (let power = Math.floor(Math.log10(from)); power <= Math.log10(to); power++) {
    for (const digit of [1, 2, 5]) {
      const value = digit * 10 ** power
      if (value >= from * 0.999 && value <= to * 1.001) all.push(value)
    }
  }
  return all
}

function short(value: number): string {
  return value >= 1000 ? `${value / 1000}k` : String(Number(value.toPrecision(2)))
}

function panel(
  title: string,
  top: number,
  xScale: Scale,
  xTicks: number[],
  lines: readonly Line[],
) {
  const values = lines.flatMap(({ points }) => points.map(({ y }) => y))
  const [low, high] = [Math.min(...values) / 1.2, Math.max(...values) * 1.2]
  const bottom = top + PANEL
  const yScale = logScale(low, high, bottom, top)
  const parts = [
    `<text x="${LEFT}" y="${top - 12}" font-weight="bold">${title}</text>`,
    `<rect x="${LEFT}" y="${top}" width="${WIDTH - LEFT - RIGHT}" height="${PANEL}" fill="none" stroke="#999"/>`,
  ]
  for (const tick of ticks(low, high)) {
    const y = yScale(tick).toFixed(1)
    parts.push(
      `<line x1="${LEFT}" y1="${y}" x2="${WIDTH - RIGHT}" y2="${y}" stroke="#ddd"/>`,
      `<text x="${LEFT - 8}" y="${y}" dy="4" text-anchor="end">${short(tick)}</text>`,
    )
  }
  for (const tick of xTicks) {
    const x = xScale(tick).toFixed(1)
    parts.push(
      `<line x1="${x}" y1="${top}" x2="${x}" y2="${bottom}" stroke="#eee"/>`,
      `<text x="${x}" y="${bottom + 18}" text-anchor="middle">${short(tick)}</text>`,
    )
  }
  for (const { name, color, points } of lines) {
    const path = points.map(({ x, y }) => `${xScale(x).toFixed(1)},${yScale(y).toFixed(1)}`)
    const last = points.at(-1) ?? { x: 1, y: 1 }
    parts.push(
      `<polyline points="${path.join(' ')}" fill="none" stroke="${color}" stroke-width="2"/>`,
      ...path.map(at => {
        const [x, y] = at.split(',')
        return `<circle cx="${x}" cy="${y}" r="3" fill="${color}"/>`
      }),
      `<text x="${WIDTH - RIGHT + 8}" y="${yScale(last.y).toFixed(1)}" dy="4" fill="${color}">${name}</text>`,
    )
  }
  return parts
}

/** Draws latency and batch size over the load. */
export function loadCurveSvg(result: Result, caption: string): string {
  const line = (name: string, color: string, metric: string): Line => ({
    name,
    color,
    points: result.rows.map(row => ({
      x: median(valuesOf(row, 'offered')),
      y: median(valuesOf(row, metric)),
    })),
  })
  const latency = [line('p99', '#c0392b', 'p99'), line('p50', '#2c6fbb', 'p50')]
  const frames = [line('records', '#2e8b57', 'recordsPerFrame')]
  const offered = frames[0]?.points.map(({ x }) => x) ?? []
  const [low, high] = [Math.min(...offered), Math.max(...offered)]
  const xScale = logScale(low, high, LEFT, WIDTH - RIGHT)
  const xTicks = ticks(low, high)
  const second = TOP + PANEL + GAP
  const height = second + PANEL + GAP
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    '<title>Latency and records per frame at rising load</title>',
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...panel('Latency of an HTTP announce, ms', TOP, xScale, xTicks, latency),
    ...panel('Records in a frame of the link', second, xScale, xTicks, frames),
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${second + PANEL + 36}" text-anchor="middle">offered requests/s</text>`,
    `<text x="8" y="${height - 6}" font-size="9" fill="#666">${caption}</text>`,
    '</svg>',
    '',
  ].join('\n')
}
