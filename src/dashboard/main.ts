import { startAccounts } from './accounts.ts'
import type { Overview } from './answers.ts'
import { ApiError, forgetToken, hasToken, keepToken, onRefused, request } from './api.ts'
import { byId, setText } from './dom.ts'
import { formatNumber } from './format.ts'
import { startKeys } from './keys.ts'
import { startLists } from './lists.ts'
import { aboutText, createOverviewView, type OverviewView, statOf } from './overview.ts'
import { startTheme } from './theme.ts'
import { TorrentSection } from './torrent.ts'
import { startUsers } from './users.ts'

const REFRESH_MILLIS = 2000
const SECTIONS = ['overview', 'torrent', 'lists', 'keys', 'users']

const signIn = byId('sign-in')
const navigation = document.querySelector('nav') as HTMLElement
const signOutButton = byId('sign-out')
const tokenField = byId('token', HTMLInputElement)
const tokenError = byId('token-error')

let overviewView: OverviewView | undefined
/** Set during a session. Aborting it stops the refreshing. */
let session: AbortController | undefined

function showConnection(text: string, isGood: boolean): void {
  const element = byId('connection')
  element.classList.toggle('good', isGood)
  setText(element, text)
}

/** Fetches and shows the overview. */
async function refresh(): Promise<void> {
  const { json } = await request('GET', '/api/overview')
  const overview = json as unknown as Overview
  if (!session) return
  setText(byId('about'), aboutText(overview))
  showConnection('Live', true)
  for (const list of ['whitelist', 'blacklist', 'keys', 'users'] as const) {
    setText(byId(`${list}-state`), stateText(overview, list))
  }
  // A chart takes its size from its visible element.
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

/** Refreshes the overview during the session, while the page is visible. */
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
  return error instanceof ApiError ? error.message : `Unexpected error: ${error}.`
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
    const check = () => {
      if (!document.hidden) resolve()
    }
    document.addEventListener('visibilitychange', check, { signal })
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
    await request('GET', '/api/overview')
  } catch (error) {
    // The callback for refused tokens has shown the reason.
    if (!(error instanceof ApiError && error.isToken)) showSignIn(messageOf(error))
    return
  }
  tokenField.value = ''
  showSections()
  byId('content').focus({ preventScroll: true })
}

/** Shows the section named by the URL, such as `#torrent/HASH`. Ignores unknown names. */
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

const torrent = new TorrentSection()
startLists()
startKeys()
startUsers()
startAccounts()
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
