/** Session storage of this tab holds the token. Requests send it as a header, never in a URL. */
const TOKEN_KEY = 'muster-token'
const ANSWER_MILLIS_MAX = 20_000

export type ApiAnswer = { readonly status: number; readonly json: Record<string, unknown> }

/** A failed request, with a message for the user of the page. */
export class ApiError extends Error {
  /** Whether the API refused the token. */
  readonly isToken: boolean

  constructor(message: string, isToken = false) {
    super(message)
    this.isToken = isToken
  }
}

export function hasToken(): boolean {
  return sessionStorage.getItem(TOKEN_KEY) !== null
}

export function keepToken(token: string): void {
  sessionStorage.setItem(TOKEN_KEY, token)
}

export function forgetToken(): void {
  sessionStorage.removeItem(TOKEN_KEY)
}

let refused = (_message: string): void => {}

/** Registers a callback for refused tokens, which receives the reason. */
export function onRefused(act: (message: string) => void): void {
  refused = act
}

/**
 * Sends a request with the stored token. Rejects with an ApiError if the token is refused, the
 * tracker fails or it is unreachable.
 */
export async function request(method: string, path: string, body?: unknown): Promise<ApiAnswer> {
  const response = await fetch(path, {
    method,
    headers: { authorization: `Bearer ${sessionStorage.getItem(TOKEN_KEY) ?? ''}` },
    cache: 'no-store',
    signal: AbortSignal.timeout(ANSWER_MILLIS_MAX),
    ...(body !== undefined && { body: JSON.stringify(body) }),
  }).catch(() => {
    throw new ApiError('The tracker is unreachable.')
  })
  const answer = await readAnswer(response)
  const refusal = refusalOf(answer, response.headers)
  if (refusal?.isToken) refused(refusal.message)
  if (refusal) throw refusal
  return answer
}

/** A 304 does not have a body. A header has its text. */
async function readAnswer(response: Response): Promise<ApiAnswer> {
  const { status } = response
  if (status === 304) return { status, json: { status: response.headers.get('x-status') ?? '' } }
  const text = await response.text().catch(() => '')
  try {
    return { status, json: JSON.parse(text) as Record<string, unknown> }
  } catch {
    throw new ApiError(`Unexpected response from the tracker (status ${status}).`)
  }
}

function refusalOf({ status, json }: ApiAnswer, headers: Headers): ApiError | undefined {
  const text = String(json['status'])
  if (status === 429) {
    const seconds = headers.get('retry-after') ?? '60'
    return new ApiError(`Too many invalid tokens. Try again in ${seconds} seconds.`, true)
  }
  if (status === 400 && text.endsWith(' token')) return new ApiError('The token is invalid.', true)
  if (status >= 500) return new ApiError(`The request failed: ${text}.`)
  return undefined
}
