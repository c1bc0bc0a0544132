import { chmodSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import type { Histogram } from '../counters/histogram.ts'
import { createLink } from './client.ts'
import { createFrame, createFrameReader } from './frame.ts'
import type { Answer, AnswerBytesMax, Link } from './link.ts'
import { answerFrame, createReplies, type LinkServer, type Replies } from './server.ts'

const READ_BUFFER_BYTES = 256 * 1024
const RECONNECT_MILLIS_MIN = 10
const RECONNECT_MILLIS_MAX = 1000

/**
 * Connects a link over the Unix socket at `path` to an engine thread of another process. It
 * reconnects by itself until it is closed.
 */
export function connectSocketLink(path: string): Link {
  return createLink(events => {
    let socket: Socket | undefined
    let timer: NodeJS.Timeout | undefined
    let waitMillis = RECONNECT_MILLIS_MIN
    let closed = false
    const buffer = new Uint8Array(READ_BUFFER_BYTES)

    function open(): void {
      const reader = createFrameReader((bytes, at, length) => events.frame(bytes, at, length))
      const opened = connect({
        path,
        onread: {
          buffer,
          callback: bytes => {
            if (!reader.push(buffer.subarray(0, bytes))) opened.destroy()
            return true
          },
        },
      })
      socket = opened
      opened.on('connect', () => {
        waitMillis = RECONNECT_MILLIS_MIN
        events.up()
      })
      // `close` follows and is handled below.
      opened.on('error', () => {})
      opened.on('close', () => {
        if (closed) return
        events.down()
        timer = setTimeout(open, waitMillis)
        waitMillis = Math.min(waitMillis * 2, RECONNECT_MILLIS_MAX)
      })
    }

    open()
    return {
      send: frame => {
        socket?.write(frame)
      },
      reset: () => {
        socket?.destroy()
      },
      close: () => {
        closed = true
        clearTimeout(timer)
        socket?.destroy()
      },
    }
  })
}

/**
 * Answers links on the Unix socket `path`, which only this user can open (mode 0600). A file that a
 * dead process left there is replaced. Rejects when it cannot listen on the path.
 */
export async function serveSocket(
  path: string,
  answer: Answer,
  bytesMax: AnswerBytesMax,
  frameSeconds?: Histogram,
): Promise<LinkServer> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    serveLink(socket, createReplies(answer, bytesMax, frameSeconds))
  })
  rmSync(path, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
  chmodSync(path, 0o600)
  return {
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

function serveLink(socket: Socket, replies: Replies): void {
  const reader = createFrameReader((bytes, at, length) => {
    const reply = answerFrame(bytes, at, length, replies)
    if (!reply) return false
    // A frontend that does not read its replies gets no further answers until it does.
    if (!socket.write(reply)) socket.pause()
    if (socket.writableLength > 0) replies.frame = createFrame()
    return true
  })
  socket.on('drain', () => socket.resume())
  socket.on('data', chunk => {
    if (!reader.push(chunk as Buffer<ArrayBuffer>)) socket.destroy()
  })
}
