/** Exit statuses, of sysexits.h where it has one. */
export const ExitStatus = {
  ok: 0,
  usage: 64,
  dataError: 65,
  unavailable: 69,
  software: 70,
  config: 78,
} as const

/** Something that the operator can mend. Its message is printed once, as it is, and the process ends with its status. */
export class OperatorError extends Error {
  override readonly name = 'OperatorError'
  readonly exitStatus: number

  constructor(message: string, exitStatus: number) {
    super(message)
    this.exitStatus = exitStatus
  }
}

/** The configuration is wrong: each line of the message names a key, what was found and what is allowed. */
export function configError(lines: readonly string[]): OperatorError {
  return new OperatorError(lines.join('\n'), ExitStatus.config)
}

/** An address or a file cannot be had. */
export function unavailableError(message: string): OperatorError {
  return new OperatorError(message, ExitStatus.unavailable)
}
