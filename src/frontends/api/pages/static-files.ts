import { createHash } from 'node:crypto'
import { methodNotAllowed, type Reply, statusReply } from '../replies.ts'

/** What lies at which path, all of it in memory. */
export type StaticFiles = ReadonlyMap<string, StaticFile>
export type StaticFile = { readonly type: string; readonly bytes: Uint8Array }

/** The answer for a file; undefined when there is none at that path. `method` is in upper case, `ifNoneMatch` the header of that name. */
export type StaticServer = (method: string, path: string, ifNoneMatch: string) => Reply | undefined

/** Pages may use what comes from this server, styles of their own and pictures in their text; nobody may frame them. */
const POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"

/**
 * Serves files from memory with an entity tag each, so that a browser asks again and is told that nothing changed. A folder without its
 * slash leads to the one with it.
 */
export function serveStatic(files: StaticFiles): StaticServer {
  const replies = new Map([...files].map(([path, file]) => [path, fileReply(file)] as const))
  return (method, path, ifNoneMatch) => {
    const found = replies.get(path)
    if (!found) return replies.has(`${path}/`) ? redirectTo(`${path}/`) : undefined
    if (method !== 'GET' && method !== 'HEAD') return methodNotAllowed(['GET', 'HEAD', 'OPTIONS'])
    return ifNoneMatch.includes(found.tag) ? { ...found.reply, status: 304 } : found.reply
  }
}

function fileReply({ type, bytes }: StaticFile): { tag: string; reply: Reply } {
  const tag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
  const headers = [
    ['etag', tag],
    ['cache-control', 'no-cache'],
    ['content-security-policy', POLICY],
    ['referrer-policy', 'no-referrer'],
  ] as const
  return { tag, reply: { status: 200, type, body: bytes, headers } }
}

function redirectTo(location: string): Reply {
  return { ...statusReply(308, 'moved'), headers: [['location', location]] }
}
