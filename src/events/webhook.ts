import { createHash, createHmac } from 'node:crypto'
import type { Receiver } from './outbox.ts'

export type WebhookOptions = { readonly url: string; readonly secret: string }

/**
 * Sends batches as the body of a POST. The same batch has the same `x-muster-batch` whenever it is
 * sent again, so that a receiver can recognise it.
 */
export function createWebhook({ url, secret }: WebhookOptions): Receiver {
  const target = new URL(url)
  const headers = authorization(target)
  target.username = ''
  target.password = ''
  return {
    name: 'webhook',
    async send(lines, signal) {
      const body = `${lines.join('\n')}\n`
      const time = Math.floor(Date.now() / 1000)
      const response = await fetch(target, {
        method: 'POST',
        body,
        redirect: 'error',
        signal,
        headers: {
          ...headers,
          'content-type': 'application/x-ndjson',
          'x-muster-batch': createHash('sha256').update(body).digest('hex').slice(0, 32),
          ...(secret !== '' && { 'x-muster-signature': signature(secret, time, body) }),
        },
      })
      await response.body?.cancel()
      if (!response.ok) throw new Error(`the webhook answered ${response.status}`)
    },
    close: async () => undefined,
  }
}

/** The value of `x-muster-signature`. The time keeps a recorded request from being replayed. */
export function signature(secret: string, time: number, body: string): string {
  const digest = createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')
  return `t=${time},v1=${digest}`
}

/** `fetch` refuses a URL with a user and a password. */
function authorization({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {}
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { authorization: `Basic ${Buffer.from(user).toString('base64')}` }
}
