import { request } from './api.ts'
import { byId } from './dom.ts'
import {
  countTexts,
  hideResults,
  lookUpEach,
  onClear,
  onSubmit,
  requestInChunks,
  showResults,
} from './forms.ts'
import { readHashes } from './hashes.ts'

export type ListName = 'whitelist' | 'blacklist'

/** Member of the answer to a removal. The API names the whitelist's `torrents`. */
const REMOVED_MEMBER = { whitelist: 'torrents', blacklist: 'blacklists' } as const

export async function addToList(list: ListName, hashes: readonly string[]) {
  const outcomes = await requestInChunks('POST', `/api/${list}s`, hashes, `${list}s`)
  return outcomes.map(([hash, text]) => [hash, text === 'ok' ? 'added' : 'already there'] as const)
}

export async function removeFromList(list: ListName, hashes: readonly string[]) {
  const outcomes = await requestInChunks('DELETE', `/api/${list}s`, hashes, REMOVED_MEMBER[list])
  return outcomes.map(([hash, outcome]) => [hash, removedText(outcome)] as const)
}

export function removedText(outcome: unknown): string {
  return (outcome as { status?: unknown }).status === 'ok' ? 'removed' : 'not there'
}

async function lookUp(list: ListName, hashes: readonly string[]) {
  return lookUpEach(hashes, async hash => {
    const { json } = await request('GET', `/api/overview/${hash}`)
    return json[`${list}ed`] === true ? 'on the list' : 'not on the list'
  })
}

type Outcomes = readonly (readonly [hash: string, outcome: string])[]

const ACTIONS: Record<string, (list: ListName, hashes: readonly string[]) => Promise<Outcomes>> = {
  find: lookUp,
  add: addToList,
  remove: removeFromList,
}

export function startLists(): void {
  const form = byId('lists-form', HTMLFormElement)
  const message = byId('lists-message')
  const text = byId('lists-hashes', HTMLTextAreaElement)
  const chosen = () => new FormData(form).get('list') as ListName

  onSubmit(form, message, async action => {
    hideResults('lists-results')
    const rows = (await ACTIONS[action]?.(chosen(), readHashes(text.value))) ?? []
    showResults(
      'lists-results',
      ['Info hash', chosen()],
      rows.map(([hash, outcome]) => [
        { text: hash, class: 'hash', href: `#torrent/${hash}` },
        { text: outcome },
      ]),
    )
    return countTexts(rows.map(([, outcome]) => outcome))
  })

  onClear('lists', () => ({
    question: `Remove every entry of the ${chosen()}?`,
    verb: `Clear the ${chosen()}`,
    path: `/api/${chosen()}/clear`,
    done: `The ${chosen()} is empty.`,
  }))
}
