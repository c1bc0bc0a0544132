import type { HistoryLine } from './answers.ts'
import { byId, listItems, make, setText } from './dom.ts'
import { formatNumber, formatShort } from './format.ts'

/** Seconds between two samples of the API. */
const SAMPLE_SECONDS = 2
const SAMPLES = 150

export type Line = { readonly name: string; readonly line: HistoryLine; readonly dash?: number[] }

export type Chart = {
  /** Shows the samples, oldest first. The newest one is current. */
  show(history: Readonly<Record<HistoryLine, readonly number[]>>): void
  /** Redraws the chart in the current colours. */
  redraw(): void
}

/**
 * Creates a chart of the last minutes in the element `${id}-chart`, with the latest values in
 * `${id}-legend`.
 */
export function createChart(id: string, lines: readonly Line[]): Chart {
  const element = byId(`${id}-chart`)
  const legend = byId(`${id}-legend`)
  const probe = make('span')
  probe.hidden = true
  element.append(probe)
  /** Resolves a CSS variable, which a canvas cannot do. */
  const color = (name: string) => {
    probe.style.color = `var(--${name})`
    return getComputedStyle(probe).color
  }
  const items = listItems(legend, lines.length, () => make('li'))
  const numbers = lines.map(({ name, line }, n) => {
    const item = items[n] as HTMLLIElement
    item.style.setProperty('--series', `var(--${line})`)
    const number = make('b')
    item.append(`${name} `, number)
    return number
  })
  const size = () => ({ width: Math.max(element.clientWidth, 100), height: element.clientHeight })
  const options = {
    ...size(),
    ...chartOptions(lines, color),
    hooks: { setCursor: [() => report()] },
  }
  const chart = new uPlot(options, [[], ...lines.map(() => [])], element)

  /** Shows the values under the pointer, or the latest ones. */
  function report(): void {
    const [times = [], ...values] = chart.data
    const at = chart.cursor.idx ?? times.length - 1
    for (const [n, number] of numbers.entries()) setText(number, formatNumber(values[n]?.[at] ?? 0))
  }

  new ResizeObserver(() => {
    if (element.clientWidth > 0) chart.setSize(size())
  }).observe(element)

  return {
    show(history) {
      const values = lines.map(({ line }) => [...history[line]])
      const count = values[0]?.length ?? 0
      chart.setData([
        Array.from({ length: count }, (_, n) => (n + 1 - count) * SAMPLE_SECONDS),
        ...values,
      ])
      report()
      const newest = lines.map(({ name }, n) => `${name} ${formatNumber(values[n]?.at(-1) ?? 0)}`)
      element.setAttribute('aria-label', `The last five minutes; now ${newest.join(', ')}`)
    },
    redraw: () => chart.redraw(false),
  }
}

/** Appearance of a chart: a line for each series, over the last minutes. */
function chartOptions(lines: readonly Line[], color: (name: string) => string) {
  const axis = {
    stroke: () => color('faint'),
    grid: { stroke: () => color('line'), width: 1 },
    ticks: { show: false },
  }
  const times: uPlot.Axis = {
    ...axis,
    size: 28,
    splits: [-300, -240, -180, -120, -60, 0],
    values: (_, splits) => splits.map(at => (at === 0 ? 'now' : `${at / 60} min`)),
  }
  const counts: uPlot.Axis = {
    ...axis,
    size: 52,
    values: (_, splits) => splits.map(formatShort),
  }
  const scales: uPlot.Scales = {
    x: { time: false, range: [-SAMPLES * SAMPLE_SECONDS, 0] },
    y: { range: (_, __, most) => [0, Math.max(most * 1.1, 5)] },
  }
  const series = lines.map(({ name, line, dash = [] }) => ({
    label: name,
    stroke: () => color(line),
    width: 2,
    dash,
    points: { show: false },
  }))
  return {
    legend: { show: false },
    cursor: { y: false, points: { size: 7 } },
    scales,
    axes: [times, counts],
    series: [{}, ...series],
  }
}
