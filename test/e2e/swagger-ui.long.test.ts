import t from 'tap'
import { startWithApi, TOKEN } from '../fixtures/admin-client.ts'
import { openPage, skipWithoutBrowser, startBrowser } from '../fixtures/browser.ts'

const skip = skipWithoutBrowser
t.test('Swagger UI shows the document and runs its operations', { skip }, async t => {
  const { tracker } = await startWithApi(t, { tracker_config: { swagger: true } })
  const browser = await startBrowser(t)
  const { page, problems } = await openPage(browser, `http://127.0.0.1:${tracker.port('api')}`)
  await page.goto('/swagger-ui/')
  const operations = page.locator('.opblock')
  await operations.first().waitFor()
  const document = (await (await page.request.get('/api/openapi.json')).json()) as {
    paths: Record<string, object>
  }
  const documented = Object.values(document.paths).flatMap(path => Object.keys(path))
  t.equal(await operations.count(), documented.length)
  await page.click('button.authorize')
  const bearer = page.locator('.auth-container').filter({ hasText: 'bearer' })
  await bearer.locator('input').fill(TOKEN)
  await bearer.locator('button.authorize').click()
  await page.click('.close-modal')
  const stats = page.locator('.opblock').filter({ has: page.locator('[data-path="/stats"]') })
  await stats.locator('.opblock-summary-control').click()
  await stats.locator('.try-out__btn').click()
  await stats.locator('.execute').click()
  const answer = stats.locator('.live-responses-table .response')
  await answer.filter({ hasText: 'whitelist_enabled' }).waitFor()
  t.equal((await answer.locator('.response-col_status').innerText()).trim(), '200')
  t.same(problems, [])
})
