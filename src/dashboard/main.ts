import type { Overview } from './answers.ts'
import { ApiError, ask, forgetToken, hasToken, keepToken, onRefused } from './api.ts'
import { byId, setText } from './dom.ts'
import { formatNumber } from './format.ts'
import { startKeys } from './keys.ts'
import { startLists } from './lists.ts'
import { aboutText, createOverviewView, type OverviewView, statOf } from './overview.ts'
import { startTheme } from './theme.ts'
import { startTorrent } from './torrent.ts'
import { startUsers } from './users.ts'

const REFRESH_MILLIS = 2000
const SECTIONS = ['overview', 'torrent', 'lists', 'keys', 'users']

const signIn = byId('sign-in')
const navigation = document.querySelector('nav') as HTMLElement
const signOutButton = byId('sign-out')
const tokenField = byId('token', HTMLInputElement)
const tokenError = byId('token-error')

let overviewView: OverviewView | undefined
/** Set while signed in; aborted to end the watching. */
let session: AbortController | undefined

function showConnection(text: string, isGood: boolean): void {
  const place = byId('connection')
  place.classList.toggle('good', isGood)
  setText(place, text)
}

/** Asks for the overview and shows it. */
async function refresh(): Promise<void> {
  const { json } = await ask('GET', '/api/overview')
  const overview = json as unknown as Overview
  if (!session) return
  setText(byId('about'), aboutText(overview))
  showConnection('Live', true)
  for (const list of ['whitelist', 'blacklist', 'keys', 'users'] as const) {
    setText(byId(`${list}-state`), stateText(overview, list))
  }
  // The charts want to be measured where they are seen.
  if (byId('overview').hidden) return
  overviewView ??= createOverviewView()
  overviewView.show(overview)
}

function stateText(overview: Overview, list: string): string {
  const count = statOf(overview, list)
  const entries = count === 1 ? '1 entry' : `${formatNumber(count)} entries`
  const isEnabled = overview.stats[`${list}_enabled`]
  if (isEnabled === undefined) return entries
  return isEnabled ? `${entries}, checked` : `${entries}, not checked: off in the configuration`
}

/** Refreshes for as long as the session lasts, and only while somebody can see it. */
async function watch({ signal }: AbortController): Promise<void> {
  while (!signal.aborted) {
    await refresh().catch((error: unknown) => {
      if (!signal.aborted) showConnection(`${messageOf(error)} Trying again.`, false)
    })
    await wait(REFRESH_MILLIS, signal)
    if (document.hidden) await visible(signal)
  }
}

function messageOf(error: unknown): string {
  return error instanceof ApiError ? error.message : `Something is wrong: ${error}.`
}

function wait(millis: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, millis)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

function visible(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const look = () => {
      if (!document.hidden) resolve()
    }
    document.addEventListener('visibilitychange', look, { signal })
    signal.addEventListener('abort', () => resolve())
  })
}

function showSignIn(message = ''): void {
  session?.abort()
  session = undefined
  forgetToken()
  for (const id of SECTIONS) byId(id).hidden = true
  navigation.hidden = true
  signOutButton.hidden = true
  signIn.hidden = false
  setText(byId('about'), '')
  showConnection('', false)
  setText(tokenError, message)
  tokenField.value = ''
  tokenField.focus()
}

function showSections(): void {
  setText(tokenError, '')
  signIn.hidden = true
  navigation.hidden = false
  signOutButton.hidden = false
  session = new AbortController()
  route()
  void watch(session)
}

async function trySignIn(): Promise<void> {
  keepToken(tokenField.value.trim())
  setText(tokenError, '')
  try {
    await ask('GET', '/api/overview')
  } catch (error) {
    // What is wrong with the token was said already.
    if (!(error instanceof ApiError && error.isToken)) showSignIn(messageOf(error))
    return
  }
  tokenField.value = ''
  showSections()
  byId('content').focus({ preventScroll: true })
}

/** Shows the section that the address names, as `#torrent/HASH`; another name leaves everything as it is. */
function route(): void {
  if (!session) return
  const [name = '', hash] = location.hash.slice(1).split('/')
  const shown = SECTIONS.includes(name) ? name : location.hash === '' ? 'overview' : undefined
  if (!shown) return
  for (const id of SECTIONS) byId(id).hidden = id !== shown
  for (const link of navigation.querySelectorAll('a')) {
    if (link.getAttribute('href') === `#${shown}`) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  document.title = `${navigation.querySelector('[aria-current]')?.textContent} – muster`
  if (shown === 'torrent' && hash) torrent.open(hash)
  if (shown === 'overview') void refresh().catch(() => {})
}

const torrent = startTorrent()
startLists()
startKeys()
startUsers()
startTheme(() => overviewView?.redraw())
onRefused(showSignIn)
signOutButton.addEventListener('click', () => showSignIn())
signIn.querySelector('form')?.addEventListener('submit', event => {
  event.preventDefault()
  void trySignIn()
})
window.addEventListener('hashchange', route)

if (hasToken()) showSections()
else showSignIn()
