import { Failure } from '../../protocol/failures.ts'
import { parseMessage } from '../../protocol/websocket/message.ts'
import { WAITING_BYTES_MAX, WAITING_BYTES_PER_ADDRESS_MAX, WAITING_MILLIS } from './limits.ts'
import { closeAbusive, fail, handleMessage } from './messages.ts'
import type { Session } from './session.ts'
import { monotonicSeconds, type Tracker } from './state.ts'

/** A message that is dropped is answered this often, so that a flood does not earn answers. */
const DROP_ANSWERS = { burst: 1, perSecond: 1 }

/**
 * Receives a message. A socket that exceeds its rate, or does not read its replies, is slowed down:
 * its messages wait. A message is dropped when too many wait, and a socket that continues to send
 * is closed.
 */
export function receive(tracker: Tracker, session: Session, text: string): void {
  if (!session.hasWaiting && mayProceed(tracker, session)) {
    handleMessage(tracker, session, text)
    return
  }
  const isRoom =
    tracker.waitingBytes + text.length <= WAITING_BYTES_MAX &&
    session.use.waitingBytes + text.length <= WAITING_BYTES_PER_ADDRESS_MAX
  if (isRoom && session.wait(text)) {
    tracker.waitingBytes += text.length
    tracker.slowed.add(session)
    return
  }
  drop(tracker, session, text)
}

/** Handles the waiting messages that rates allow by now. Returns the timer that repeats it. */
export function startSlowLane(tracker: Tracker): NodeJS.Timeout {
  return setInterval(() => {
    for (const session of tracker.slowed) proceed(tracker, session)
  }, WAITING_MILLIS)
}

function proceed(tracker: Tracker, session: Session): void {
  while (!session.isClosed && session.hasWaiting && mayProceed(tracker, session)) {
    const text = session.nextWaiting() as string
    tracker.waitingBytes -= text.length
    handleMessage(tracker, session, text)
  }
  if (!session.hasWaiting) tracker.slowed.delete(session)
}

function mayProceed({ limits }: Tracker, session: Session): boolean {
  // A client that does not read receives no more replies.
  if (session.socket.getBufferedAmount() > limits.backlog / 2) return false
  return session.messages.take(1, monotonicSeconds(), limits.messages)
}

function drop(tracker: Tracker, session: Session, text: string): void {
  const now = monotonicSeconds()
  if (!session.drops.take(1, now, tracker.limits.messages)) {
    closeAbusive(tracker, session, 'too many messages')
    return
  }
  if (!session.dropAnswers.take(1, now, DROP_ANSWERS)) return
  const message = parseMessage(text, tracker.limits.descriptionBytes)
  const action = message.kind === 'announce' ? 'announce' : undefined
  const infoHash = message.kind === 'announce' ? message.infoHash : undefined
  fail(tracker, session, Failure.tooManyMessages, action, infoHash)
}
