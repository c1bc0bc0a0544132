import type { MessagePort } from 'node:worker_threads'
import type { Histogram } from '../counters/histogram.ts'
import { bytesOf } from '../protocol/bytes.ts'
import { createLink } from './client.ts'
import { FRAME_HEADER_BYTES, frameLength } from './frame.ts'
import type { Answer, AnswerBytesMax, Link } from './link.ts'
import { answerFrame, createReplies, type LinkServer } from './server.ts'

/** Posts one frame as one message and transfers its memory. */
function post(port: MessagePort, frame: Uint8Array<ArrayBuffer>): void {
  const message = frame.slice()
  port.postMessage(message, [message.buffer])
}

function isFrame(message: unknown): message is Uint8Array<ArrayBuffer> {
  return message instanceof Uint8Array && message.length >= FRAME_HEADER_BYTES
}

/**
 * Connects a link over a MessagePort to an engine thread of this process. The link is up at once
 * and stays up until it is closed.
 */
export function connectPortLink(port: MessagePort): Link {
  return createLink(events => {
    port.on('message', (message: unknown) => {
      if (!isFrame(message)) return
      const bytes = bytesOf(message)
      if (frameLength(bytes.view, 0) === message.length) events.frame(bytes, 0, message.length)
    })
    port.on('close', () => events.down())
    queueMicrotask(() => events.up())
    return {
      send: frame => post(port, frame),
      reset: () => port.close(),
      close: () => port.close(),
    }
  })
}

/** Answers the request frames that arrive over `port`. */
export function servePort(
  port: MessagePort,
  answer: Answer,
  bytesMax: AnswerBytesMax,
  frameSeconds?: Histogram,
): LinkServer {
  const replies = createReplies(answer, bytesMax, frameSeconds)
  port.on('message', (message: unknown) => {
    if (!isFrame(message)) return
    const bytes = bytesOf(message)
    if (frameLength(bytes.view, 0) !== message.length) return
    const reply = answerFrame(bytes, 0, message.length, replies)
    if (reply) post(port, reply)
  })
  return {
    async close() {
      port.close()
    },
  }
}
