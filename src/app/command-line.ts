import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ExitStatus, OperatorError } from '../errors.ts'
import type { TorrustActixFiles } from '../transfer/rows.ts'

export const HELP = `Usage: muster [--config FILE]
       muster export FILE [--config FILE]
       muster import FILE [--config FILE]
       muster import --torrust-actix FOLDER [--config FILE]
       muster --create-selfsigned [--selfsigned-domain NAME]

A BitTorrent tracker. export writes the contents of the database to a file, one JSON line
per row, and import reads such a file; - is standard output or input.

  --torrust-actix FOLDER      import the files that torrust-actix --export wrote
  --create-config     write a config.toml with all defaults, and exit
  --create-database   create the missing tables of the database, and exit
  --create-selfsigned create a self-signed certificate and its key, and exit
  --selfsigned-domain NAME    host name or IP address (default: localhost)
  --selfsigned-keyfile FILE   file of the key (default: key.pem)
  --selfsigned-certfile FILE  file of the certificate (default: cert.pem)

  --config FILE       read the configuration from FILE
                      (default: config.toml in this directory, if it exists)
  --check-config      check the configuration, print it with all defaults, and exit
  --print-config      print a commented config.toml with all defaults, and exit
  --print-reference   print the reference of the configuration in Markdown, and exit
  --print-metrics     print the reference of the metrics in Markdown, and exit
  -h, --help          print this text, and exit
  -V, --version       print the version, and exit

Options of Torrust-Actix, with its file format:
  --export, --import  write or read torrents.json, whitelists.json, blacklists.json,
                      keys.json and users.json in this directory, and exit
  --export-file-torrents FILE, --import-file-torrents FILE
                      another file; likewise -whitelists, -blacklists, -keys, -users

Environment variables override keys: TRACKER__REQUEST_INTERVAL, HTTP_0_BIND_ADDRESS.
Exit status: 0 stopped on request, 64 wrong usage, 65 a damaged SQLite file or a file that
cannot be imported, 69 an address is in use, a file cannot be written or the database is
unreachable, 70 a bug in muster, 78 wrong configuration.
`

/** Options of Torrust-Actix for the tables of an export. */
const TABLES = {
  torrent: 'torrents',
  whitelist: 'whitelists',
  blacklist: 'blacklists',
  key: 'keys',
  user: 'users',
} as const satisfies TorrustActixFiles

export type Command =
  | { readonly does: 'run' | 'check-config'; readonly file: string | undefined }
  | {
      readonly does: 'export' | 'import'
      readonly file: string | undefined
      /** The file to write or read. */
      readonly path: string
    }
  | {
      readonly does: 'export-torrust-actix' | 'import-torrust-actix'
      readonly file: string | undefined
      readonly files: TorrustActixFiles
    }
  | { readonly does: 'create-database'; readonly file: string | undefined }
  | { readonly does: 'create-config'; readonly file: string | undefined }
  | {
      readonly does: 'create-selfsigned'
      readonly domain: string
      readonly keyFile: string
      readonly certificateFile: string
    }
  | { readonly does: 'print-config' | 'print-reference' | 'print-metrics' | 'help' | 'version' }

/** Parses the command line. Throws an OperatorError with EX_USAGE. */
export function parseCommandLine(args: readonly string[]): Command {
  const { positionals, values } = parse(args)
  if (values.help) return { does: 'help' }
  if (values.version) return { does: 'version' }
  if (values['print-config']) return { does: 'print-config' }
  if (values['print-reference']) return { does: 'print-reference' }
  if (values['print-metrics']) return { does: 'print-metrics' }
  if (values['create-config']) return { does: 'create-config', file: values.config }
  if (values['create-database']) return { does: 'create-database', file: values.config }
  if (values['create-selfsigned']) {
    return {
      does: 'create-selfsigned',
      domain: values['selfsigned-domain'],
      keyFile: values['selfsigned-keyfile'],
      certificateFile: values['selfsigned-certfile'],
    }
  }
  for (const does of ['export', 'import'] as const) {
    if (!values[does]) continue
    const files = filesOf(table => values[`${does}-file-${table}`] ?? `${table}.json`)
    return { does: `${does}-torrust-actix`, file: values.config, files }
  }
  const [verb, path] = positionals
  const foreign = values['torrust-actix']
  if (verb === 'import' && foreign !== undefined && positionals.length === 1) {
    const files = filesOf(table => join(foreign, `${table}.json`))
    return { does: 'import-torrust-actix', file: values.config, files }
  }
  if ((verb === 'export' || verb === 'import') && path !== undefined && positionals.length === 2) {
    return { does: verb, file: values.config, path }
  }
  if (verb !== undefined && verb !== 'export' && verb !== 'import') {
    throw usageError(`muster ${args.join(' ')}: unknown command ${verb}`)
  }
  if (verb !== undefined || foreign !== undefined) {
    throw usageError(`muster ${args.join(' ')}: export and import need one FILE`)
  }
  return { does: values['check-config'] ? 'check-config' : 'run', file: values.config }
}

type TableName = (typeof TABLES)[keyof typeof TABLES]

function filesOf(fileOf: (table: TableName) => string): TorrustActixFiles {
  return {
    torrent: fileOf(TABLES.torrent),
    whitelist: fileOf(TABLES.whitelist),
    blacklist: fileOf(TABLES.blacklist),
    key: fileOf(TABLES.key),
    user: fileOf(TABLES.user),
  }
}

const FILE = { type: 'string' } as const

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        'check-config': { type: 'boolean' },
        'create-config': { type: 'boolean' },
        'create-database': { type: 'boolean' },
        export: { type: 'boolean' },
        'export-file-torrents': FILE,
        'export-file-whitelists': FILE,
        'export-file-blacklists': FILE,
        'export-file-keys': FILE,
        'export-file-users': FILE,
        import: { type: 'boolean' },
        'import-file-torrents': FILE,
        'import-file-whitelists': FILE,
        'import-file-blacklists': FILE,
        'import-file-keys': FILE,
        'import-file-users': FILE,
        'torrust-actix': { type: 'string' },
        'create-selfsigned': { type: 'boolean' },
        'selfsigned-domain': { type: 'string', default: 'localhost' },
        'selfsigned-keyfile': { type: 'string', default: 'key.pem' },
        'selfsigned-certfile': { type: 'string', default: 'cert.pem' },
        'print-config': { type: 'boolean' },
        'print-reference': { type: 'boolean' },
        'print-metrics': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'V' },
      },
    })
  } catch (error) {
    throw usageError((error as Error).message)
  }
}

function usageError(message: string): OperatorError {
  return new OperatorError(`${message}\nTry muster --help.`, ExitStatus.usage)
}
