import { existsSync, writeFileSync } from 'node:fs'
import { type Command, HELP, parseCommandLine } from './app/command-line.ts'
import { withCredentials } from './config/credentials.ts'
import { loadConfig } from './config/load.ts'
import { printConfig, printDefaults, printReference } from './config/print.ts'
import { unavailableError } from './errors.ts'
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

async function createSelfSigned(command: Command & { does: 'create-selfsigned' }): Promise<void> {
  const { writeSelfSigned } = await import('./tls/self-signed.ts')
  return writeSelfSigned(command.domain, command.keyFile, command.certificateFile)
}

async function checkConfig(file: string | undefined): Promise<void> {
  const { config, warnings } = load(file)
  const { checkCertificates } = await import('./serving/certificates.ts')
  checkCertificates(config)
  for (const warning of warnings) process.stderr.write(`${warning}\n`)
  process.stdout.write(printConfig(config))
}

/** Each command loads only what it needs. */
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
      return createSelfSigned(command)
    case 'print-metrics':
      process.stdout.write((await import('./metrics/reference.ts')).printMetricsReference())
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
      return checkConfig(command.file)
    case 'run': {
      const loaded = load(command.file)
      const { runPrimary } = await import('./app/primary.ts')
      return runPrimary(loaded, () => load(command.file))
    }
  }
}

/** Runs the program with these arguments. Rejects with an OperatorError. */
export async function runProgram(words: readonly string[]): Promise<void> {
  await run(parseCommandLine(words))
}
