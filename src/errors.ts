/** Exit statuses, from sysexits.h where it has a suitable one. */
export const ExitStatus = {
  ok: 0,
  usage: 64,
  dataError: 65,
  unavailable: 69,
  software: 70,
  config: 78,
} as const

/**
 * An error that the operator can fix. The message is printed unchanged, and the process ends with
 * its exit status.
 */
export class OperatorError extends Error {
  override readonly name = 'OperatorError'
  readonly exitStatus: number

  constructor(message: string, exitStatus: number) {
    super(message)
    this.exitStatus = exitStatus
  }
}

/**
 * A wrong configuration. Each line of the message names a key, the value found and what is allowed.
 */
export function configError(lines: readonly string[]): OperatorError {
  return new OperatorError(lines.join('\n'), ExitStatus.config)
}

/** An address, a file or a server is not available. */
export function unavailableError(message: string): OperatorError {
  return new OperatorError(message, ExitStatus.unavailable)
}
