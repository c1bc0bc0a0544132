/** Where the token is kept: this tab only. It is sent as a header, and is in no address. */
const TOKEN_PLACE = 'muster-token'
const ANSWER_MILLIS_MAX = 20_000

export type ApiAnswer = { readonly status: number; readonly json: Record<string, unknown> }

/** Why there is no answer, in words for the person at the page. */
export class ApiError extends Error {
  /** Whether the token is what was refused. */
  readonly isToken: boolean

  constructor(message: string, isToken = false) {
    super(message)
    this.isToken = isToken
  }
}

export function hasToken(): boolean {
  return sessionStorage.getItem(TOKEN_PLACE) !== null
}

export function keepToken(token: string): void {
  sessionStorage.setItem(TOKEN_PLACE, token)
}

export function forgetToken(): void {
  sessionStorage.removeItem(TOKEN_PLACE)
}

let refused = (_message: string): void => {}

/** Has `act` called whenever the token is refused, with why. */
export function onRefused(act: (message: string) => void): void {
  refused = act
}

/** Asks the API with the token that is kept. Rejects with an ApiError when the token is refused, the server cannot or is not there. */
export async function ask(method: string, path: string, body?: unknown): Promise<ApiAnswer> {
  const response = await fetch(path, {
    method,
    headers: { authorization: `Bearer ${sessionStorage.getItem(TOKEN_PLACE) ?? ''}` },
    cache: 'no-store',
    signal: AbortSignal.timeout(ANSWER_MILLIS_MAX),
    ...(body !== undefined && { body: JSON.stringify(body) }),
  }).catch(() => {
    throw new ApiError('The tracker does not answer.')
  })
  const answer = await readAnswer(response)
  const refusal = refusalOf(answer, response.headers)
  if (refusal?.isToken) refused(refusal.message)
  if (refusal) throw refusal
  return answer
}

/** A 304 has no body, and its text in a header. */
async function readAnswer(response: Response): Promise<ApiAnswer> {
  const { status } = response
  if (status === 304) return { status, json: { status: response.headers.get('x-status') ?? '' } }
  const text = await response.text().catch(() => '')
  try {
    return { status, json: JSON.parse(text) as Record<string, unknown> }
  } catch {
    throw new ApiError(`The answer makes no sense (status ${status}).`)
  }
}

function refusalOf({ status, json }: ApiAnswer, headers: Headers): ApiError | undefined {
  const text = String(json['status'])
  if (status === 429) {
    const seconds = headers.get('retry-after') ?? '60'
    return new ApiError(`Too many wrong tokens: wait ${seconds} seconds, then try again.`, true)
  }
  if (status === 400 && text.endsWith(' token')) return new ApiError('This token is wrong.', true)
  if (status >= 500) return new ApiError(`The tracker could not do that: ${text}.`)
  return undefined
}
