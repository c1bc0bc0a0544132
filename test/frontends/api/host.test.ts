import t from 'tap'
import { createHostGuard } from '../../../src/frontends/api/host.ts'

const LOOPBACK = { host: '127.0.0.1', allowedHosts: [], trustedProxies: [] }

t.test('a server on a loopback address refuses foreign names', async t => {
  for (const host of ['127.0.0.1', '127.8.0.1', '::1']) {
    const isForeign = createHostGuard({ ...LOOPBACK, host })
    for (const header of [
      'evil.example',
      'evil.example:8080',
      'EVIL.example.',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      'a.b c',
      '[::1.x',
    ]) {
      t.equal(isForeign(header), true, `${host}: ${header}`)
    }
    for (const header of [
      '',
      'localhost',
      'LOCALHOST:8080',
      'muster.localhost',
      'localhost.',
      'muster:8080',
      '127.0.0.1',
      '127.0.0.1:8080',
      '10.1.2.3:1',
      '[::1]:8080',
      '[2001:db8::1]',
    ]) {
      t.equal(isForeign(header), false, `${host}: ${header}`)
    }
  }
})

t.test('allowed_hosts adds names, in any case', async t => {
  const isForeign = createHostGuard({ ...LOOPBACK, allowedHosts: ['Tracker.example'] })
  t.equal(isForeign('tracker.EXAMPLE:443'), false)
  t.equal(isForeign('localhost'), false)
  t.equal(isForeign('other.example'), true)
  const public_ = createHostGuard({
    ...LOOPBACK,
    host: '0.0.0.0',
    allowedHosts: ['tracker.example'],
  })
  t.equal(public_('other.example'), true, 'on a public address too')
})

t.test('a public server and one behind a trusted proxy accept any name', async t => {
  for (const rules of [
    { ...LOOPBACK, host: '0.0.0.0' },
    { ...LOOPBACK, trustedProxies: ['127.0.0.1'] },
  ]) {
    t.equal(createHostGuard(rules)('evil.example'), false)
  }
})
