import type { BackendName, HttpBackend } from '../adapter.ts'
import { nodeBackend } from '../node/app.ts'
import { loadUws } from './uws.ts'

/** The backend that serves HTTP, and the reason if `auto` had to choose the slower one. */
export type BackendChoice = { readonly backend: BackendName; readonly reason: string | undefined }

/**
 * Chooses the backend for `frontend.http`. Throws an Error with the reasons when `uws` is required
 * and does not load.
 */
export function chooseBackend(wanted: 'auto' | BackendName): BackendChoice {
  if (wanted === 'node') return { backend: 'node', reason: undefined }
  try {
    return { backend: loadUws().name, reason: undefined }
  } catch (error) {
    if (wanted === 'uws') throw error
    return { backend: 'node', reason: (error as Error).message }
  }
}

const IDLE_SECONDS_DEFAULT = 75

/** Seconds after which `backend` closes an idle connection. `wanted` is the configured time. */
export function idleSeconds(backend: HttpBackend, wanted: number | undefined): number {
  return backend.idleTimeout ?? wanted ?? IDLE_SECONDS_DEFAULT
}

/** The backend of that name. Throws an Error when it is not available. */
export function loadBackend(name: BackendName): HttpBackend {
  return name === 'uws' ? loadUws() : nodeBackend
}
