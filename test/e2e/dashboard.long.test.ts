import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { announce, hex, startWithApi, TOKEN } from '../fixtures/admin-client.ts'
import { openPage, skipWithoutBrowser, startBrowser } from '../fixtures/browser.ts'
import { getBencoded, latin1 } from '../fixtures/http-client.ts'
import { clientOf, hashOf } from '../fixtures/tracker-client.ts'
import { openUdpClient } from './fixtures/udp-client.ts'

const PHONE = { viewport: { width: 360, height: 740 } }
const SECTIONS = ['overview', 'torrent', 'lists', 'keys', 'users']

/**
 * A tracker with a whitelist, its dashboard's URL, and the failure of an announce of torrent `n`.
 */
async function start(t: Test) {
  const { tracker, admin } = await startWithApi(t, {
    tracker_config: { whitelist_enabled: true },
    frontend: { workers: 1 },
  })
  const why = async (n: number) =>
    latin1((await getBencoded(tracker.url(), announce('/announce', n)))['failure reason'] ?? '')
  return { tracker, admin, why, url: `http://127.0.0.1:${tracker.port('api')}` }
}

async function signIn(page: Page, token = TOKEN): Promise<void> {
  await page.goto('/')
  await page.fill('#token', token)
  await page.keyboard.press('Enter')
}

/** Resolves once the element with this id has the focus. */
async function untilFocus(page: Page, id: string): Promise<void> {
  await page.waitForFunction(`document.activeElement.id === ${JSON.stringify(id)}`)
}

/** Resolves once the element's text matches. */
async function untilText(page: Page, selector: string, text: string | RegExp): Promise<void> {
  await page.locator(selector).filter({ hasText: text }).waitFor()
}

/** Presses Tab until the matching element has the focus. Fails if no Tab reaches it. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let presses = 0; presses < 60; presses++) {
    if (await page.evaluate(`document.activeElement.matches(${JSON.stringify(selector)})`)) return
    await page.keyboard.press('Tab')
  }
  throw new Error(`the keyboard does not come to ${selector}`)
}

t.test('the dashboard in a browser', { skip: skipWithoutBrowser }, async t => {
  const { admin, tracker, url, why } = await start(t)
  const browser = await startBrowser(t)

  await t.test('asks for the token, and forgets it on sign-out', async t => {
    const { page, problems } = await openPage(browser, url)
    await signIn(page, 'wrong')
    await untilText(page, '#token-error', 'The token is invalid.')
    t.equal(await page.evaluate('sessionStorage.length'), 0)
    t.match(problems.splice(0), [/status of 400/], 'the browser says so too')
    await page.fill('#token', TOKEN)
    await page.keyboard.press('Enter')
    await untilText(page, '#connection', 'Live')
    await page.reload()
    await untilText(page, '#connection', 'Live')
    t.notMatch(page.url(), /token|long enough/)
    t.equal(await page.evaluate('localStorage.length'), 0)
    await page.click('#sign-out')
    await page.waitForSelector('#token')
    t.equal(await page.evaluate('sessionStorage.length'), 0)
    t.equal(await page.locator('#overview').isVisible(), false)
    t.same(problems, [])
  })

  await t.test('shows new announces', async t => {
    await admin.call('POST', '/api/whitelists', [hex(1), hashOf(2).toString('hex')])
    const { page, problems } = await openPage(browser, url)
    await signIn(page)
    await untilText(page, '#peers', /^0$/)
    await untilText(page, '#top-none', 'No torrent')
    t.equal(await why(1), '')
    await untilText(page, '#peers', /^1$/)
    await untilText(page, '#torrents', /^1$/)
    const client = await openUdpClient(t, '127.0.0.1', tracker.port('udp', '127.0.0.1'))
    do {
      await client.announce({ infoHash: hashOf(2), peerId: Buffer.from('-qB4650-000000000000') })
    } while (!/[1-9]/.test((await page.textContent('#announces')) ?? ''))
    await untilText(page, '#peers', /^2$/)
    t.match(
      await page.getAttribute('#announces-chart', 'aria-label'),
      /now HTTP [\d,]+, UDP [\d,]+/,
    )
    await untilText(page, '#top', hex(1))
    await untilText(page, '#clients', 'qBittorrent')
    await untilText(page, '#processes', `primary (${tracker.pid})`)
    await untilText(page, '#processes', /worker 1 \(\d+\)/)
    await untilText(page, '#database', 'Up')
    await untilText(page, '#entries', 'Whitelist')
    t.ok(await page.locator('#announces-chart canvas').isVisible())
    t.same(problems, [])
  })

  await t.test('finds a torrent, and list changes take effect', async t => {
    const { page, problems } = await openPage(browser, url)
    await signIn(page)
    t.equal(await why(3), 'unregistered torrent')
    await page.click('nav a[href="#lists"]')
    await page.fill('#lists-hashes', `${hex(3)}, ${hex(4).toUpperCase()}\n${hex(3)}`)
    await page.click('#lists-form button[value=add]')
    await untilText(page, '#lists-message', '2 added.')
    t.equal(await why(3), '')
    await page.click('#lists-form button[value=find]')
    await untilText(page, '#lists-message', '2 on the list.')
    await page.fill('#lists-hashes', `${hex(3)} no-hash`)
    await page.click('#lists-form button[value=remove]')
    await untilText(page, '#lists-message', '“no-hash” is not 40 hexadecimal digits.')
    t.equal(await why(3), '', 'nothing was removed')
    await page.click('#lists-clear')
    await page.click('#confirm-yes')
    await untilText(page, '#lists-message', 'The whitelist is empty.')
    t.equal(await why(3), 'unregistered torrent')
    await page.fill('#lists-hashes', hex(3))
    await page.click('#lists-form button[value=add]')
    await untilText(page, '#lists-message', '1 added.')

    await page.click('nav a[href="#torrent"]')
    await page.fill('#torrent-hash', hex(3))
    await page.keyboard.press('Enter')
    await untilText(page, '#torrent-name', hex(3))
    await untilText(page, '#torrent-peers', `127.0.0.1:${clientOf(3).port}`)
    await untilText(page, '#torrent-leechers', /^1$/)
    await page.click('#torrent-whitelist')
    await untilText(page, '#torrent-message', 'Whitelist: removed.')
    t.equal(await why(3), 'unregistered torrent')
    await page.click('#torrent-blacklist')
    await untilText(page, '#torrent-blacklisted', /^listed$/)
    await page.click('#torrent-delete')
    await page.keyboard.press('Escape')
    await untilText(page, '#torrent-seeders', /^0$/)
    await page.click('#torrent-delete')
    await page.click('#confirm-yes')
    await untilText(page, '#torrent-message', 'Deleted. The tracker does not have this torrent.')
    t.match(await admin.call('GET', `/api/torrent/${hex(3)}`), { status: 404 })
    t.same(problems, [])
  })

  await t.test('creates, finds and removes keys and users', async t => {
    const { page, problems } = await openPage(browser, url)
    await signIn(page)
    await page.click('nav a[href="#keys"]')
    await page.click('#keys-make')
    await page.click('#keys-make')
    await page.click('#keys-form button[value=add]')
    await untilText(page, '#keys-message', '2 added.')
    await page.click('#keys-form button[value=find]')
    // The two lookups are separate, and the hour may change between them.
    await untilText(
      page,
      '#keys-message',
      /^(2|1 valid for (30 d 0|29 d 23) h, 1) valid for (30 d 0|29 d 23) h\.$/,
    )
    await page.selectOption('#keys-unit', { label: 'no expiry' })
    await page.click('#keys-form button[value=add]')
    await untilText(page, '#keys-message', '2 changed.')
    await page.click('#keys-clear')
    await page.click('#confirm-yes')
    await untilText(page, '#keys-message', 'The tracker refused: keys not enabled.')
    await page.click('#keys-form button[value=remove]')
    await untilText(page, '#keys-message', '2 removed.')
    t.match(problems.splice(0), [/status of 400/], 'the browser reports the refusal')

    await page.click('nav a[href="#users"]')
    await page.click('#user-make')
    const [id = '', key = ''] = (await page.inputValue('#user-lines')).trim().split(' ')
    await page.fill('#user-lines', `${id} ${key} 1048576 0 3`)
    await page.click('#user-form button.primary')
    await untilText(page, '#user-message', '1 added.')
    t.match(await admin.call('GET', `/api/user/${key}`), {
      json: { uuid: id, uploaded: 1048576, completed: 3, active: 1 },
    })
    await page.fill('#users-keys', key)
    await page.click('#users-form button[value=find]')
    await untilText(page, '#users-results', '1.0 MiB')
    await page.click('#users-form button[value=remove]')
    await untilText(page, '#users-message', '1 removed.')
    t.match(await admin.call('GET', `/api/user/${key}`), { status: 404 })
    t.same(problems, [])
  })

  await t.test('is usable with the keyboard alone', async t => {
    await admin.call('POST', `/api/whitelist/${hex(5)}`)
    t.equal(await why(5), '')
    const { page, problems } = await openPage(browser, url)
    await page.goto('/')
    await page.waitForSelector('#token')
    await page.keyboard.type(TOKEN)
    await page.keyboard.press('Enter')
    await untilText(page, '#connection', 'Live')
    await untilText(page, '#top', hex(5))
    await tabTo(page, '#top a')
    await tabTo(page, `a[href="#torrent/${hex(5)}"]`)
    // A refresh of the table does not move the focus.
    await untilText(page, '#about', /up/)
    await page.keyboard.press('Enter')
    await untilText(page, '#torrent-name', hex(5))
    await tabTo(page, '#torrent-delete')
    await page.keyboard.press('Enter')
    // Cancel has the initial focus.
    await untilFocus(page, 'confirm-no')
    await page.keyboard.press('Enter')
    await untilFocus(page, 'torrent-delete')
    await page.keyboard.press('Enter')
    await untilFocus(page, 'confirm-no')
    await page.keyboard.press('Tab')
    await untilFocus(page, 'confirm-yes')
    await page.keyboard.press('Enter')
    await untilText(page, '#torrent-message', 'Deleted.')
    await tabTo(page, '.skip')
    await page.keyboard.press('Enter')
    t.ok(await page.evaluate('document.activeElement.id === "content"'))
    await tabTo(page, 'nav a[href="#lists"]')
    await page.keyboard.press('Enter')
    await tabTo(page, '[name=list]')
    await page.keyboard.press('ArrowDown')
    await tabTo(page, '#lists-hashes')
    await page.keyboard.type(hex(6))
    await tabTo(page, '#lists-form [value=add]')
    await page.keyboard.press('Space')
    await untilText(page, '#lists-message', '1 added.')
    t.match(await admin.call('GET', `/api/blacklist/${hex(6)}`), { status: 200 })
    await tabTo(page, '#sign-out')
    await page.keyboard.press('Enter')
    t.ok(await page.evaluate('document.activeElement.id === "token"'))
    t.same(problems, [])
  })

  await t.test('fits a phone, and is readable in light and dark', async t => {
    await admin.call('POST', `/api/whitelist/${hex(7)}`)
    t.equal(await why(7), '')
    const backgrounds = new Set<unknown>()
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, problems } = await openPage(browser, url, { ...PHONE, colorScheme })
      await page.goto('/')
      await page.waitForSelector('#token')
      t.same(await faint(page), [], `${colorScheme} sign-in`)
      await signIn(page)
      await page.waitForSelector('#top a')
      for (const section of SECTIONS) {
        await page.click(`nav a[href="#${section}"]`)
        if (section === 'torrent') {
          await page.goto(`/#torrent/${hex(7)}`)
          await page.waitForSelector('#torrent-peers td')
        }
        await page.waitForSelector(`#${section}`)
        t.ok(
          await page.evaluate('document.documentElement.scrollWidth <= innerWidth'),
          `${section} is not wider than the phone`,
        )
        t.same(await faint(page), [], `${colorScheme} ${section}`)
      }
      const background = () => page.evaluate('getComputedStyle(document.body).backgroundColor')
      const before = await background()
      backgrounds.add(before)
      await page.selectOption('#theme', colorScheme === 'light' ? 'dark' : 'light')
      t.not(await background(), before, 'the switch goes before the system')
      await page.reload()
      t.not(await background(), before, 'and is remembered')
      t.same(problems, [])
    }
    t.equal(backgrounds.size, 2)
  })

  await t.test('sends no requests while the page is hidden', async t => {
    const { page, problems } = await openPage(browser, url)
    await page.clock.install()
    await signIn(page)
    await untilText(page, '#connection', 'Live')
    let asked = 0
    page.on('request', () => asked++)
    const hide = (hidden: boolean) =>
      page.evaluate(
        `Object.defineProperty(document, 'hidden', { get: () => ${hidden}, configurable: true }); document.dispatchEvent(new Event('visibilitychange'))`,
      )
    const next = () => page.waitForRequest(request => request.url().endsWith('/api/overview'))
    await Promise.all([next(), page.clock.runFor(3000)])
    await hide(true)
    await page.clock.runFor(3000)
    asked = 0
    await page.clock.runFor(60_000)
    t.equal(asked, 0)
    await Promise.all([next(), hide(false)])
    t.same(problems, [])
  })

  await t.test('shows when the tracker is unreachable and when it returns', async t => {
    const { page } = await openPage(browser, url)
    await signIn(page)
    await untilText(page, '#connection', 'Live')
    await page.route('**/api/overview', route => route.abort())
    await untilText(page, '#connection', 'The tracker is unreachable. Trying again.')
    t.ok(await page.locator('#overview').isVisible(), 'what was read before stays')
    await page.unroute('**/api/overview')
    await untilText(page, '#connection', 'Live')
  })

  await t.test('shows how long to wait after too many invalid tokens', async t => {
    const { page } = await openPage(browser, url)
    let told = ''
    // More than ten, in case the window of the first ones ends meanwhile.
    for (let n = 0; n < 50 && !told.startsWith('Too many'); n++) {
      await signIn(page, `wrong ${n}`)
      await untilText(page, '#token-error', /./)
      told = (await page.textContent('#token-error')) ?? ''
    }
    t.match(told, /^Too many invalid tokens. Try again in \d+ seconds/)
    t.equal(await page.evaluate('sessionStorage.length'), 0)
  })
})

/** Visible texts whose contrast is below the minimum of WCAG 2.2 (1.4.3, AA). */
function faint(page: Page): Promise<string[]> {
  return page.evaluate(`(() => {
    const channels = color => color.match(/[\\d.]+/g).map(Number)
    const luminance = color => {
      const [r, g, b] = channels(color).map(value => {
        const part = value / 255
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
      })
      return 0.2126 * r + 0.7152 * g + 0.0722 * b
    }
    const behind = element => {
      for (let at = element; at; at = at.parentElement) {
        const color = getComputedStyle(at).backgroundColor
        if (channels(color)[3] !== 0) return color
      }
      return 'rgb(255, 255, 255)'
    }
    return [...document.querySelectorAll('body *')]
      .filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
      .filter(element => element.checkVisibility() && !element.disabled && element.tagName !== 'OPTION')
      .filter(element => {
        const [a, b] = [getComputedStyle(element).color, behind(element)].map(luminance)
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5
      })
      .map(element => element.id + ' ' + element.textContent.trim().slice(0, 40))
  })()`)
}
