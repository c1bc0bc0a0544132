#!/usr/bin/env node
import { OperatorError } from './errors.ts'
import { requireOpenFiles } from './native/file-limit.ts'

// Without a listener, SIGUSR1 opens Node's debugger, and any local user could control the process.
process.on('SIGUSR1', () => {})

try {
  requireOpenFiles()
  // Loading the program opens many files at once.
  const { runProgram } = await import('./program.ts')
  await runProgram(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof OperatorError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exit(error.exitStatus)
}
