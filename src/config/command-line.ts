import { parseArgs } from 'node:util'
import { ExitStatus, OperatorError } from '../errors.ts'

export const HELP = `Usage: muster [--config FILE]

A BitTorrent tracker.

  --config FILE       read the configuration from FILE
                      (default: config.toml in this folder, if it is there)
  --check-config      check the configuration, print what is in effect, and exit
  --print-config      print a commented config.toml with all defaults, and exit
  --print-reference   print the configuration's reference in Markdown, and exit
  --help              print this, and exit
  --version           print the version, and exit

Keys can be set in the environment too: TRACKER__REQUEST_INTERVAL, HTTP_0_BIND_ADDRESS.
Exit status: 0 stopped as asked, 64 wrong usage, 69 an address is taken, 70 a fault
in muster, 78 wrong configuration.
`

export type Command =
  | { readonly does: 'run' | 'check-config'; readonly file: string | undefined }
  | { readonly does: 'print-config' | 'print-reference' | 'help' | 'version' }

/** What the command line asks for. Throws an OperatorError with EX_USAGE. */
export function parseCommandLine(words: readonly string[]): Command {
  const values = parse(words)
  if (values.help) return { does: 'help' }
  if (values.version) return { does: 'version' }
  if (values['print-config']) return { does: 'print-config' }
  if (values['print-reference']) return { does: 'print-reference' }
  return { does: values['check-config'] ? 'check-config' : 'run', file: values.config }
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      strict: true,
      options: {
        config: { type: 'string' },
        'check-config': { type: 'boolean' },
        'print-config': { type: 'boolean' },
        'print-reference': { type: 'boolean' },
        help: { type: 'boolean' },
        version: { type: 'boolean' },
      },
    }).values
  } catch (error) {
    throw new OperatorError(`${(error as Error).message}\nTry muster --help.`, ExitStatus.usage)
  }
}
