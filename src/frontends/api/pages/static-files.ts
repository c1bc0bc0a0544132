import { createHash } from 'node:crypto'
import { methodNotAllowed, type Reply, statusReply } from '../replies.ts'

/** Files in memory, by path. */
export type StaticFiles = ReadonlyMap<string, StaticFile>
export type StaticFile = { readonly type: string; readonly bytes: Uint8Array }

/**
 * Returns the answer for a file, or undefined if the path does not have one. `method` is in upper
 * case, `ifNoneMatch` is the header of that name.
 */
export type StaticServer = (method: string, path: string, ifNoneMatch: string) => Reply | undefined

/**
 * Pages load resources from this server, inline styles and data: images. No site may frame them.
 */
const POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"

/**
 * Serves files from memory. Each has an entity tag, so that a browser revalidates its copy. The
 * path of a folder without its slash redirects to the one with it.
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
