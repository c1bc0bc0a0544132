#!/usr/bin/env node
import { ExitStatus, OperatorError } from './errors.ts'
import { requireOpenFiles } from './native/file-limit.ts'

// Without a listener, SIGUSR1 opens Node's debugger, and any local user could control the process.
process.on('SIGUSR1', () => {})

// The reader of a command's output may end early, as head does, or the disk may be full.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') process.stderr.write(`standard output: ${error.message}\n`)
  process.exit(ExitStatus.unavailable)
})

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
