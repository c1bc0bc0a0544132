import t from 'tap'
import {
  countFailure,
  countFrontend,
  createFrontendCounters,
  FrontendCounter,
  familyOf,
  Protocol,
  readFailure,
  readFailures,
  readFrontend,
} from '../../src/counters/frontend.ts'
import { Failure } from '../../src/protocol/failures.ts'
import { Family } from '../../src/protocol/records.ts'

const PLACES = Object.values(Protocol).flatMap(protocol =>
  [Family.ipv4, Family.ipv6].map(family => [protocol, family] as const),
)

t.test('every kind and failure is counted on its own, for each protocol and family', async t => {
  const counters = createFrontendCounters()
  const kinds = Object.values(FrontendCounter)
  const codes = Object.values(Failure)
  let times = 0
  for (const [protocol, family] of PLACES) {
    for (const kind of kinds) {
      times++
      for (let n = 0; n < times; n++) countFrontend(counters, protocol, family, kind)
    }
    for (const code of codes) {
      times++
      for (let n = 0; n < times; n++) countFailure(counters, protocol, family, code)
    }
  }
  let expected = 0
  for (const [protocol, family] of PLACES) {
    for (const kind of kinds) t.equal(readFrontend(counters, protocol, family, kind), ++expected)
    let failures = 0
    for (const code of codes) {
      t.equal(readFailure(counters, protocol, family, code), ++expected)
      failures += expected
    }
    t.equal(readFailures(counters, protocol, family), failures)
  }
})

t.test('an address has a family by its length; one that is not known is IPv4', async t => {
  t.equal(familyOf(new Uint8Array(4)), Family.ipv4)
  t.equal(familyOf(new Uint8Array(16)), Family.ipv6)
  t.equal(familyOf(undefined), Family.ipv4)
})
