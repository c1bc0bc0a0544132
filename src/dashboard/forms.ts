import { type ApiAnswer, ApiError, ask } from './api.ts'
import { byId, type Cell, confirmed, fillTable, make, setText } from './dom.ts'
import { formatNumber } from './format.ts'

/** Entries of one request: some 500 KiB. */
const ENTRIES_PER_REQUEST = 10_000
/** Entries that are looked up, one request each, because a browser sends no body with GET; and how many at a time. */
const LOOKUPS_MAX = 500
const LOOKUPS_AT_ONCE = 6
/** Rows of a table of results: more than that nobody reads, and the browser is slow to show. */
const ROWS_MAX = 200

/**
 * Has `work` do what the button of a form says, and shows the text that comes of it, or what went wrong. Meanwhile the form can be asked for
 * nothing else.
 */
export function onSubmit(
  form: HTMLFormElement,
  message: HTMLElement,
  work: (action: string) => Promise<string>,
): void {
  form.addEventListener('submit', event => {
    event.preventDefault()
    const { submitter } = event
    const action = submitter instanceof HTMLButtonElement ? submitter.value : ''
    void busy(form, message, () => work(action))
  })
}

/** The same for anything else that takes a while. */
export async function busy(
  place: HTMLElement,
  message: HTMLElement,
  work: () => Promise<string>,
): Promise<void> {
  if (place.ariaBusy === 'true') return
  place.ariaBusy = 'true'
  setText(message, '')
  message.classList.remove('error')
  try {
    setText(message, await work())
  } catch (error) {
    message.classList.add('error')
    setText(message, error instanceof Error ? error.message : String(error))
  } finally {
    place.ariaBusy = 'false'
  }
}

/** Sends a list in several requests where it is long, and puts what their answers have under `member` together. */
export async function askInChunks(
  method: string,
  path: string,
  entries: readonly unknown[],
  member: string,
  toBody: (chunk: readonly unknown[]) => unknown = chunk => chunk,
): Promise<[entry: string, outcome: unknown][]> {
  const outcomes: [string, unknown][] = []
  for (let n = 0; n < entries.length; n += ENTRIES_PER_REQUEST) {
    const answer = await ask(method, path, toBody(entries.slice(n, n + ENTRIES_PER_REQUEST)))
    if (answer.status !== 200) throw new ApiError(refusalText(answer))
    for (const outcome of Object.entries(answer.json[member] ?? {})) outcomes.push(outcome)
  }
  return outcomes
}

export function refusalText({ json }: ApiAnswer): string {
  return `The tracker refused: ${json['status']}.`
}

/** Asks for each entry alone, in order. */
export async function lookUpEach<Found>(
  entries: readonly string[],
  lookUp: (entry: string) => Promise<Found>,
): Promise<[entry: string, found: Found][]> {
  if (entries.length > LOOKUPS_MAX) {
    throw new Error(`At most ${LOOKUPS_MAX} can be looked up at once.`)
  }
  const found: [string, Found][] = []
  for (let n = 0; n < entries.length; n += LOOKUPS_AT_ONCE) {
    const batch = entries.slice(n, n + LOOKUPS_AT_ONCE)
    const answers = await Promise.all(batch.map(lookUp))
    for (const [at, answer] of answers.entries()) found.push([batch[at] ?? '', answer])
  }
  return found
}

/** What a button that removes everything asks, does and says. */
export type Clearing = {
  readonly question: string
  readonly verb: string
  readonly path: string
  readonly done: string
}

/** Has the button `${name}-clear` remove everything, once that was confirmed. */
export function onClear(name: string, clearing: () => Clearing): void {
  byId(`${name}-clear`).addEventListener('click', async () => {
    const { question, verb, path, done } = clearing()
    if (!(await confirmed(question, verb))) return
    await busy(byId(`${name}-form`), byId(`${name}-message`), async () => {
      hideResults(`${name}-results`)
      const answer = await ask('DELETE', path)
      if (answer.status !== 200) throw new ApiError(refusalText(answer))
      return done
    })
  })
}

export function hideResults(id: string): void {
  byId(id).hidden = true
}

/** Shows rows under `headings`, the first ones where there are many. */
export function showResults(
  id: string,
  headings: readonly string[],
  rows: readonly (readonly Cell[])[],
): void {
  const place = byId(id)
  const table = make('table')
  const head = table.createTHead().insertRow()
  for (const heading of headings) {
    const cell = make('th', heading)
    cell.scope = 'col'
    head.append(cell)
  }
  fillTable(table, rows.slice(0, ROWS_MAX))
  const scroll = make('div', '', 'scroll')
  scroll.tabIndex = 0
  scroll.role = 'region'
  scroll.ariaLabel = 'Results'
  scroll.append(table)
  place.replaceChildren(scroll)
  if (rows.length > ROWS_MAX) {
    place.append(make('p', `The first ${ROWS_MAX} of ${formatNumber(rows.length)}.`, 'hint'))
  }
  place.hidden = rows.length === 0
}

/** “3 added, 1 already there”, in the order in which the words come first. */
export function countTexts(texts: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return `${[...counts].map(([text, count]) => `${formatNumber(count)} ${text}`).join(', ')}.`
}
