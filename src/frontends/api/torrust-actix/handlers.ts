import type { Handler } from '../call.ts'
import { keyHandlers } from './keys.ts'
import { listHandlers } from './lists.ts'
import { torrentHandlers } from './torrents.ts'
import { userHandlers } from './users.ts'

/**
 * Operations whose answers differ between the OpenAPI document and the program Torrust-Actix 4.2,
 * as the program answers them.
 */
export const TORRUST_ACTIX_HANDLERS: Readonly<Record<string, Handler>> = {
  ...torrentHandlers,
  ...listHandlers,
  ...keyHandlers,
  ...userHandlers,
}
