import type { Page } from 'playwright-core'
import t from 'tap'
import { announce, hex, startWithApi, TOKEN } from '../fixtures/admin-client.ts'
import { openPage, skipWithoutBrowser, startBrowser } from '../fixtures/browser.ts'
import { getBencoded, latin1 } from '../fixtures/http-client.ts'

const MIB = 2 ** 20

/** Resolves once the element's text matches. */
async function untilText(page: Page, selector: string, text: string | RegExp): Promise<void> {
  await page.locator(selector).filter({ hasText: text }).waitFor()
}

t.test('the forms for users in a browser', { skip: skipWithoutBrowser }, async t => {
  const { tracker, admin } = await startWithApi(t, {
    tracker_config: { users_enabled: true },
    accounting: { suspicious_rate: 10 * MIB },
    frontend: { workers: 1 },
  })
  const browser = await startBrowser(t)
  const { page, problems } = await openPage(browser, `http://127.0.0.1:${tracker.port('api')}`)
  await page.goto('/')
  await page.fill('#token', TOKEN)
  await page.keyboard.press('Enter')
  await page.click('nav a[href="#users"]')

  const save = async (lines: string, message: string | RegExp) => {
    await page.fill('#user-lines', lines)
    await page.click('#user-form button.primary')
    await untilText(page, '#user-message', message)
  }
  const press = async (form: string, action: string, message: string | RegExp) => {
    await page.click(`#${form}-form button[value=${action}]`)
    await untilText(page, `#${form}-message`, message)
  }
  /** Announces torrent 1 with the key. Returns why it was refused, or ''. */
  const say = async (key: string, uploaded: number, left = 0) => {
    const target = announce(`/announce/${key}`, 1, { uploaded, left })
    return latin1((await getBencoded(tracker.url(), target))['failure reason'] ?? '')
  }
  const stored = async (key: string) => (await admin.call('GET', `/api/user/${key}`)).json

  await page.click('#user-make')
  const [id = '', key = ''] = (await page.inputValue('#user-lines')).trim().split(' ')

  await t.test('report wrong input, and send none of it', async t => {
    for (const [line, message] of [
      [`${id} short`, 'the key has invalid characters or length.'],
      [`${id} ${key.slice(1)}/`, 'the key has invalid characters or length.'],
      [`${id} ${key} -1`, 'a count is not a whole number.'],
      [`${id} ${key} 1.5`, 'a count is not a whole number.'],
      [`${id} ${key} 0 99999999999999999999`, 'a count is not a whole number.'],
      [`${id} ${key} 0 0 0 yes`, 'active is 1 or 0.'],
    ] as const) {
      await save(line, message)
      await save(`${id} ${key}\n${line}`, message)
    }
    t.match(await admin.call('GET', `/api/user/${key}`), { status: 404 }, 'no line was sent')
    await save(`not-a-uuid ${key}`, 'The tracker refused:')
    t.match(await admin.call('GET', `/api/user/${key}`), { status: 404 })
    t.match(problems.splice(0), [/status of 400/], 'the browser reports the refusal')
    await page.fill('#users-keys', 'short')
    await press('users', 'find', '“short” is not a key.')
    t.match(await say(key, 0), /invalid user key|unknown user key/)
  })

  await t.test('create a user, whose announces are credited', async t => {
    await save(`${id} ${key}`, '1 added.')
    t.equal(await say(key, 0), '')
    t.equal(await say(key, 4096), '')
    await page.fill('#user-lines', '')
    await page.fill('#users-keys', key)
    await press('users', 'find', '1 found.')
    await untilText(page, '#users-results', '4.0 KiB')
    t.equal(await page.inputValue('#user-lines'), `${id} ${key} 4096 0 0 1`, 'ready to be changed')
  })

  await t.test('change a user', async t => {
    await save(`${id} ${key} ${MIB} ${2 * MIB} 3 0`, '1 changed.')
    const changed = { uploaded: MIB, downloaded: 2 * MIB, completed: 3, active: 0 }
    t.match(await stored(key), { uuid: id, ...changed })
    t.equal(await say(key, 4096), 'user is not active')
    await press('users', 'find', '1 found.')
    await untilText(page, '#users-results', 'no')
  })

  await t.test('reset a user, who is credited from 0 on', async t => {
    await save(`${id} ${key} 0 0 0 1`, '1 changed.')
    t.match(await stored(key), { uploaded: 0, downloaded: 0, completed: 0, active: 1 })
    t.equal(await say(key, 5096), '')
    t.match(await stored(key), { uploaded: 1000 })
  })

  await t.test('show the torrents of a user, and the flags until they are cleared', async t => {
    await press('account', 'torrents', 'Enter the key or the id of a user.')
    await page.fill('#account-key', 'f'.repeat(40))
    await press('account', 'torrents', 'The tracker refused:')
    t.match(problems.splice(0), [/status of 404/], 'the browser reports the refusal')
    await page.fill('#account-key', key)
    await press('account', 'torrents', /^1 torrents\.$/)
    await untilText(page, '#account-results', hex(1))
    await press('account', 'flagged', '0 flagged.')
    t.equal(await say(key, 5096 + 1000 * MIB), '')
    await press('account', 'flagged', '1 flagged.')
    await untilText(page, '#account-results', key)
    await press('account', 'torrents', 'Flagged: counts grew faster than is plausible.')
    await press('account', 'clear', 'Cleared.')
    await press('account', 'flagged', '0 flagged.')
  })

  await t.test('set and remove the factors of a user', async t => {
    await page.selectOption('#factors-scope', 'torrent')
    await page.fill('#factors-id', 'short')
    await press('factors', 'set', 'An info hash is 40 hexadecimal digits.')
    await page.selectOption('#factors-scope', 'user')
    await page.fill('#factors-id', 'f'.repeat(40))
    await press('factors', 'set', /unknown|refused/)
    problems.splice(0)
    await page.fill('#factors-id', key)
    await page.fill('#factors-upload', '11')
    await page.click('#factors-form button[value=set]')
    t.equal(await page.evaluate("document.querySelector('#factors-upload').validity.valid"), false)
    await page.fill('#factors-upload', '2')
    await page.fill('#factors-download', '1')
    await press('factors', 'set', '1 ')
    await untilText(page, '#factors-results', key)
    const before = (await stored(key))['uploaded'] as number
    t.equal(await say(key, 6096 + 1000 * MIB), '')
    t.match(await stored(key), { uploaded: before + 2000 }, 'double upload')
    await press('factors', 'remove', 'None.')
    t.equal(await say(key, 7096 + 1000 * MIB), '')
    t.match(await stored(key), { uploaded: before + 3000 })
  })

  await t.test('remove a user, who can no longer announce', async t => {
    await press('users', 'remove', '1 removed.')
    t.match(await admin.call('GET', `/api/user/${key}`), { status: 404 })
    t.match(await say(key, 8096 + 1000 * MIB), /invalid user key|unknown user key/)
    await press('users', 'find', '1 unknown.')
    t.match(problems.splice(0), [/status of 404/])
  })
  t.same(problems, [])
})
