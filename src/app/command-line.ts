import { parseArgs } from 'node:util'
import { ExitStatus, OperatorError } from '../errors.ts'

export const HELP = `Usage: muster [--config FILE]
       muster export FILE [--config FILE]
       muster import FILE [--config FILE]
       muster import --torrust-actix FOLDER [--config FILE]
       muster --create-selfsigned [--selfsigned-domain NAME]

A BitTorrent tracker. export writes all that the database holds to a file, one line of
JSON a row, and import reads it; - is standard output or input.

  --torrust-actix     import the files that Torrust-Actix's --export wrote to a folder
  --create-database   create the tables that are not there, and exit
  --create-selfsigned create a key and a certificate that nobody vouches for, and exit
  --selfsigned-domain NAME    host name or IP address (default: localhost)
  --selfsigned-keyfile FILE   where the key goes (default: key.pem)
  --selfsigned-certfile FILE  where the certificate goes (default: cert.pem)

  --config FILE       read the configuration from FILE
                      (default: config.toml in this folder, if it is there)
  --check-config      check the configuration, print what is in effect, and exit
  --print-config      print a commented config.toml with all defaults, and exit
  --print-reference   print the configuration's reference in Markdown, and exit
  --print-metrics     print the reference of the metrics in Markdown, and exit
  --help              print this, and exit
  --version           print the version, and exit

Keys can be set in the environment too: TRACKER__REQUEST_INTERVAL, HTTP_0_BIND_ADDRESS.
Exit status: 0 stopped as asked, 64 wrong usage, 65 a file that cannot be imported,
69 an address is taken or the database away, 70 a fault in muster, 78 wrong configuration.
`

export type Command =
  | { readonly does: 'run' | 'check-config'; readonly file: string | undefined }
  | {
      readonly does: 'export' | 'import' | 'import-torrust-actix'
      readonly file: string | undefined
      /** What to write or read. */
      readonly path: string
    }
  | { readonly does: 'create-database'; readonly file: string | undefined }
  | {
      readonly does: 'create-selfsigned'
      readonly domain: string
      readonly keyFile: string
      readonly certificateFile: string
    }
  | { readonly does: 'print-config' | 'print-reference' | 'print-metrics' | 'help' | 'version' }

/** What the command line asks for. Throws an OperatorError with EX_USAGE. */
export function parseCommandLine(words: readonly string[]): Command {
  const { positionals, values } = parse(words)
  if (values.help) return { does: 'help' }
  if (values.version) return { does: 'version' }
  if (values['print-config']) return { does: 'print-config' }
  if (values['print-reference']) return { does: 'print-reference' }
  if (values['print-metrics']) return { does: 'print-metrics' }
  if (values['create-database']) return { does: 'create-database', file: values.config }
  if (values['create-selfsigned']) {
    return {
      does: 'create-selfsigned',
      domain: values['selfsigned-domain'],
      keyFile: values['selfsigned-keyfile'],
      certificateFile: values['selfsigned-certfile'],
    }
  }
  const [verb, path] = positionals
  const foreign = values['torrust-actix']
  if (verb === 'import' && foreign !== undefined && positionals.length === 1) {
    return { does: 'import-torrust-actix', file: values.config, path: foreign }
  }
  if ((verb === 'export' || verb === 'import') && path !== undefined && positionals.length === 2) {
    return { does: verb, file: values.config, path }
  }
  if (verb !== undefined || foreign !== undefined) {
    throw usageError(`muster ${words.join(' ')}: export and import need one FILE`)
  }
  return { does: values['check-config'] ? 'check-config' : 'run', file: values.config }
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      strict: true,
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        'check-config': { type: 'boolean' },
        'create-database': { type: 'boolean' },
        'torrust-actix': { type: 'string' },
        'create-selfsigned': { type: 'boolean' },
        'selfsigned-domain': { type: 'string', default: 'localhost' },
        'selfsigned-keyfile': { type: 'string', default: 'key.pem' },
        'selfsigned-certfile': { type: 'string', default: 'cert.pem' },
        'print-config': { type: 'boolean' },
        'print-reference': { type: 'boolean' },
        'print-metrics': { type: 'boolean' },
        help: { type: 'boolean' },
        version: { type: 'boolean' },
      },
    })
  } catch (error) {
    throw usageError((error as Error).message)
  }
}

function usageError(message: string): OperatorError {
  return new OperatorError(`${message}\nTry muster --help.`, ExitStatus.usage)
}
