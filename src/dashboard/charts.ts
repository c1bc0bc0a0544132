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
  const axis = {
    stroke: () => color('faint'),
    grid: { stroke: () => color('line'), width: 1 },
    ticks: { show: false },
  }
  const width = () => Math.max(element.clientWidth, 100)
  const chart = new uPlot(
    {
      width: width(),
      height: element.clientHeight,
      legend: { show: false },
      cursor: { y: false, points: { size: 7 } },
      scales: {
        x: { time: false, range: [-SAMPLES * SAMPLE_SECONDS, 0] },
        y: { range: (_, __, most) => [0, Math.max(most * 1.1, 5)] },
      },
      axes: [
        {
          ...axis,
          size: 28,
          splits: [-300, -240, -180, -120, -60, 0],
          values: (_, splits) => splits.map(at => (at === 0 ? 'now' : `${at / 60} min`)),
        },
        { ...axis, size: 52, values: (_, splits) => splits.map(formatShort) },
      ],
      series: [
        {},
        ...lines.map(({ name, line, dash = [] }) => ({
          label: name,
          stroke: () => color(line),
          width: 2,
          dash,
          points: { show: false },
        })),
      ],
      hooks: { setCursor: [() => tell()] },
    },
    [[], ...lines.map(() => [])],
    element,
  )

  /** Shows the values under the pointer, or the latest ones. */
  function tell(): void {
    const [times = [], ...values] = chart.data
    const at = chart.cursor.idx ?? times.length - 1
    for (const [n, number] of numbers.entries()) setText(number, formatNumber(values[n]?.[at] ?? 0))
  }

  new ResizeObserver(() => {
    if (element.clientWidth > 0) chart.setSize({ width: width(), height: element.clientHeight })
  }).observe(element)

  return {
    show(history) {
      const values = lines.map(({ line }) => [...history[line]])
      const count = values[0]?.length ?? 0
      chart.setData([
        Array.from({ length: count }, (_, n) => (n + 1 - count) * SAMPLE_SECONDS),
        ...values,
      ])
      tell()
      const newest = lines.map(({ name }, n) => `${name} ${formatNumber(values[n]?.at(-1) ?? 0)}`)
      element.setAttribute('aria-label', `The last five minutes; now ${newest.join(', ')}`)
    },
    redraw: () => chart.redraw(false),
  }
}
