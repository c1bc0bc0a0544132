/**
 * A message bus, as far as nodes need one. Messages may be lost, and come in order from each
 * sender. Any implementation must survive the loss of its servers, and go on by itself when they
 * return.
 */
export type Bus = {
  /** Whether a server is connected: what is published otherwise is lost. */
  readonly isUp: boolean
  /** Sends to all subscribers but this node. Returns false, and sends nothing, while it is down. */
  publish(subject: string, data: Uint8Array): boolean
  /** Calls `receive` for each message of a subject, in which `*` stands for any one part. */
  subscribe(subject: string, receive: (subject: string, data: Buffer) => void): void
  /** Resolves to the answer of the one node that responds. Rejects after the time limit. */
  request(subject: string, data: Uint8Array, limitMillis: number): Promise<Buffer>
  /** Answers requests. Nothing is sent where `answer` returns undefined. */
  respond(subject: string, answer: (data: Buffer) => Uint8Array | undefined): void
  close(): Promise<void>
}

export type BusEvents = {
  /** A server is connected: the first one, or another one after a loss. */
  up(server: string): void
  down(reason: string): void
  /** Something that the operator should know, such as a missing permission. */
  trouble(reason: string): void
}
