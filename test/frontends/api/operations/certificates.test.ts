import t from 'tap'
import type { Admin, CertificateFilter, CertificateReload } from '../../../../src/admin/admin.ts'
import { startApi } from '../fixtures/api-client.ts'
import { answerProblem, operations } from '../fixtures/documented.ts'
import { createMemoryAdmin } from '../fixtures/memory-admin.ts'

const LOADED = Date.UTC(2026, 0, 2, 3, 4, 5)
const HTTP = { serverType: 'http', bindAddress: '0.0.0.0:443', loadedAt: LOADED } as const
const API = { serverType: 'api', bindAddress: '127.0.0.1:8443', loadedAt: LOADED } as const

function withCertificates(results: readonly CertificateReload[], asked: CertificateFilter[]) {
  return Object.assign(createMemoryAdmin(), {
    certificates: () => Promise.resolve([{ ...HTTP, certPath: 'cert.pem', keyPath: 'key.pem' }]),
    reloadCertificates(filter) {
      asked.push(filter)
      return Promise.resolve(results)
    },
  } satisfies Pick<Admin, 'certificates' | 'reloadCertificates'>)
}

function problem(id: string, answer: Parameters<typeof answerProblem>[1]): string | undefined {
  const operation = operations.find(known => known.id === id)
  return operation ? answerProblem(operation, answer) : `no operation ${id}`
}

t.test('lists the certificates in use', async t => {
  const { ask } = await startApi(t, {}, withCertificates([], []))
  const answer = await ask({ method: 'GET', path: '/api/certificate/status' })
  t.equal(problem('getCertificates', answer), undefined)
  t.same(answer.json, {
    status: 'ok',
    certificates: [
      {
        server_type: 'http',
        bind_address: '0.0.0.0:443',
        cert_path: 'cert.pem',
        key_path: 'key.pem',
        loaded_at: '2026-01-02T03:04:05.000Z',
      },
    ],
  })
})

t.test('a certificate reload reports each result', async t => {
  const failed = { ...API, error: 'no such file' }
  for (const [results, status] of [
    [[HTTP], 'ok'],
    [[HTTP, failed], 'partial'],
    [[failed], 'failed'],
  ] as const) {
    const asked: CertificateFilter[] = []
    const { ask } = await startApi(t, {}, withCertificates(results, asked))
    const answer = await ask({
      method: 'POST',
      path: '/api/certificate/reload',
      body: { server_type: 'api' },
    })
    t.equal(problem('reloadCertificates', answer), undefined)
    t.match(answer.json, { status })
    const { reloaded, errors } = answer.json as { reloaded: unknown[]; errors: unknown[] }
    t.equal(reloaded.length + errors.length, results.length)
    t.same(asked, [{ serverType: 'api', bindAddress: undefined }])
  }
})
