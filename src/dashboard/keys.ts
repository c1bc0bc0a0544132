import { request } from './api.ts'
import { byId } from './dom.ts'
import { formatDuration } from './format.ts'
import {
  countTexts,
  hideResults,
  lookUpEach,
  onClear,
  onSubmit,
  requestInChunks,
  showResults,
} from './forms.ts'
import { makeHash, readKeys } from './hashes.ts'
import { removedText } from './lists.ts'

async function lookUp(keys: readonly string[]) {
  return lookUpEach(keys, async key => {
    const { status, json } = await request('GET', `/api/key/${key}`)
    return status === 200 ? validText(Number(json['timeout'])) : 'unknown'
  })
}

function validText(seconds: number): string {
  return seconds === 0 ? 'never expires' : `valid for ${formatDuration(seconds)}`
}

async function add(keys: readonly string[], seconds: number) {
  const outcomes = await requestInChunks('POST', '/api/keys', keys, 'keys', chunk =>
    Object.fromEntries(chunk.map(key => [key, seconds])),
  )
  return outcomes.map(([key, text]) => [key, text === 'ok' ? 'added' : 'changed'] as const)
}

async function remove(keys: readonly string[]) {
  const outcomes = await requestInChunks('DELETE', '/api/keys', keys, 'keys')
  return outcomes.map(([key, outcome]) => [key, removedText(outcome)] as const)
}

export function startKeys(): void {
  const form = byId('keys-form', HTMLFormElement)
  const message = byId('keys-message')
  const text = byId('keys-hashes', HTMLTextAreaElement)
  const amount = byId('keys-amount', HTMLInputElement)
  const unit = byId('keys-unit', HTMLSelectElement)
  unit.addEventListener('change', () => {
    amount.disabled = unit.value === '0'
  })

  onSubmit(form, message, async action => {
    hideResults('keys-results')
    const keys = readKeys(text.value)
    const outcomes =
      action === 'add'
        ? await add(keys, Number(amount.value) * Number(unit.value))
        : await (action === 'remove' ? remove(keys) : lookUp(keys))
    showResults(
      'keys-results',
      ['Key', 'State'],
      outcomes.map(([key, outcome]) => [{ text: key, class: 'hash' }, { text: outcome }]),
    )
    return countTexts(outcomes.map(([, outcome]) => outcome))
  })

  byId('keys-make').addEventListener('click', () => {
    text.value = `${text.value.trim()}\n${makeHash()}\n`.trimStart()
  })

  onClear('keys', () => ({
    question: 'Remove every key?',
    verb: 'Remove all keys',
    path: '/api/keys/clear',
    done: 'All keys were removed.',
  }))
}
