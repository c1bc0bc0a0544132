import { existsSync, writeFileSync } from 'node:fs'
import { type Command, HELP, parseCommandLine } from './app/command-line.ts'
import { runPrimary } from './app/primary.ts'
import { withCredentials } from './config/credentials.ts'
import { loadConfig } from './config/load.ts'
import { printConfig, printDefaults, printReference } from './config/print.ts'
import { unavailableError } from './errors.ts'
import { printMetricsReference } from './metrics/reference.ts'
import { checkCertificates } from './serving/certificates.ts'
import { writeSelfSigned } from './tls/self-signed.ts'
import { musterVersion } from './version.ts'

const CONFIG_FILE = 'config.toml'

function load(named: string | undefined): ReturnType<typeof loadConfig> {
  const file = named ?? (existsSync(CONFIG_FILE) ? CONFIG_FILE : undefined)
  const environment = withCredentials(process.env)
  return loadConfig({ ...(file !== undefined && { file }), environment })
}

/** Writes the defaults to a file that must not exist. */
function createConfig(file: string): void {
  try {
    writeFileSync(file, printDefaults(), { flag: 'wx' })
  } catch (error) {
    throw unavailableError(`${file}: cannot write the configuration: ${(error as Error).message}`)
  }
  process.stderr.write(`${file} was written\n`)
}

async function run(command: Command): Promise<void> {
  switch (command.does) {
    case 'help':
      process.stdout.write(HELP)
      return
    case 'version':
      process.stdout.write(`muster ${musterVersion()}\n`)
      return
    case 'print-config':
      process.stdout.write(printDefaults())
      return
    case 'print-reference':
      process.stdout.write(printReference())
      return
    case 'create-selfsigned':
      return writeSelfSigned(command.domain, command.keyFile, command.certificateFile)
    case 'print-metrics':
      process.stdout.write(printMetricsReference())
      return
    case 'create-config':
      return createConfig(command.file ?? CONFIG_FILE)
    case 'create-database':
    case 'export':
    case 'import':
    case 'export-torrust-actix':
    case 'import-torrust-actix':
      return (await import('./transfer/commands.ts')).transfer(command, load(command.file).config)
    case 'check-config':
    case 'run': {
      const loaded = load(command.file)
      if (command.does === 'run') return runPrimary(loaded, () => load(command.file))
      checkCertificates(loaded.config)
      for (const warning of loaded.warnings) process.stderr.write(`${warning}\n`)
      process.stdout.write(printConfig(loaded.config))
    }
  }
}

/** Runs the program with these arguments. Rejects with an OperatorError. */
export async function runProgram(words: readonly string[]): Promise<void> {
  await run(parseCommandLine(words))
}
