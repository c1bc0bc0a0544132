import { type ApiAnswer, ApiError, request } from './api.ts'
import { byId, type Cell, confirmed, fillTable, make, setText } from './dom.ts'
import { formatNumber } from './format.ts'

/** Entries of one request, about 500 KiB. */
const ENTRIES_PER_REQUEST = 10_000
/**
 * Maximum entries of a lookup, and concurrent requests. Each entry is a request of its own, because
 * a browser cannot send a body with GET.
 */
const LOOKUPS_MAX = 500
const LOOKUPS_AT_ONCE = 6
/** Maximum rows of a result table. Browsers render longer tables slowly. */
const ROWS_MAX = 200

/**
 * Runs `work` for the pressed button of a form, and shows the text that it returns or the error.
 * The form is disabled meanwhile.
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

/** Does the same for any other slow action. */
export async function busy(
  element: HTMLElement,
  message: HTMLElement,
  work: () => Promise<string>,
): Promise<void> {
  if (element.ariaBusy === 'true') return
  element.ariaBusy = 'true'
  setText(message, '')
  message.classList.remove('error')
  try {
    setText(message, await work())
  } catch (error) {
    message.classList.add('error')
    setText(message, error instanceof Error ? error.message : String(error))
  } finally {
    element.ariaBusy = 'false'
  }
}

/**
 * Sends a long list in several requests, and merges the objects under `member` of their answers.
 */
export async function requestInChunks(
  method: string,
  path: string,
  entries: readonly unknown[],
  member: string,
  toBody: (chunk: readonly unknown[]) => unknown = chunk => chunk,
): Promise<[entry: string, outcome: unknown][]> {
  const outcomes: [string, unknown][] = []
  for (let n = 0; n < entries.length; n += ENTRIES_PER_REQUEST) {
    const answer = await request(method, path, toBody(entries.slice(n, n + ENTRIES_PER_REQUEST)))
    if (answer.status !== 200) throw new ApiError(refusalText(answer))
    for (const outcome of Object.entries(answer.json[member] ?? {})) outcomes.push(outcome)
  }
  return outcomes
}

export function refusalText({ json }: ApiAnswer): string {
  return `The tracker refused: ${json['status']}.`
}

/** Sends one request for each entry, and returns the answers in order. */
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

/** Texts and request of a button that removes everything. */
export type Clearing = {
  readonly question: string
  readonly verb: string
  readonly path: string
  readonly done: string
}

/** Makes the button `${name}-clear` remove everything after a confirmation. */
export function onClear(name: string, clearing: () => Clearing): void {
  byId(`${name}-clear`).addEventListener('click', async () => {
    const { question, verb, path, done } = clearing()
    if (!(await confirmed(question, verb))) return
    await busy(byId(`${name}-form`), byId(`${name}-message`), async () => {
      hideResults(`${name}-results`)
      const answer = await request('DELETE', path)
      if (answer.status !== 200) throw new ApiError(refusalText(answer))
      return done
    })
  })
}

export function hideResults(id: string): void {
  byId(id).hidden = true
}

/** Shows the first ROWS_MAX rows under `headings`. */
export function showResults(
  id: string,
  headings: readonly string[],
  rows: readonly (readonly Cell[])[],
): void {
  const element = byId(id)
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
  element.replaceChildren(scroll)
  if (rows.length > ROWS_MAX) {
    element.append(make('p', `The first ${ROWS_MAX} of ${formatNumber(rows.length)}.`, 'hint'))
  }
  element.hidden = rows.length === 0
}

/** Counts outcomes, such as “3 added, 1 already there”, in the order of their first occurrence. */
export function countTexts(texts: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return `${[...counts].map(([text, count]) => `${formatNumber(count)} ${text}`).join(', ')}.`
}
