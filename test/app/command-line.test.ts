import t from 'tap'
import { HELP, parseCommandLine } from '../../src/app/command-line.ts'
import { OperatorError } from '../../src/errors.ts'

t.test('arguments become a command', async t => {
  t.same(parseCommandLine([]), { does: 'run', file: undefined })
  t.same(parseCommandLine(['--config', 'a.toml']), { does: 'run', file: 'a.toml' })
  t.same(parseCommandLine(['--check-config', '--config=a.toml']), {
    does: 'check-config',
    file: 'a.toml',
  })
  for (const does of ['help', 'version', 'print-config', 'print-reference'] as const) {
    t.same(parseCommandLine([`--${does}`]), { does })
    t.match(HELP, `--${does} `)
  }
})

t.test(
  'a self-signed certificate is written to the given path, or beside the configuration',
  async t => {
    t.same(parseCommandLine(['--create-selfsigned']), {
      does: 'create-selfsigned',
      domain: 'localhost',
      keyFile: 'key.pem',
      certificateFile: 'cert.pem',
    })
    const words = ['--selfsigned-domain=a', '--selfsigned-keyfile=b', '--selfsigned-certfile=c']
    t.match(parseCommandLine(['--create-selfsigned', ...words]), {
      domain: 'a',
      keyFile: 'b',
      certificateFile: 'c',
    })
  },
)

t.test('the options of Torrust-Actix are accepted', async t => {
  t.same(parseCommandLine(['-h']), { does: 'help' })
  t.same(parseCommandLine(['-V']), { does: 'version' })
  t.same(parseCommandLine(['--create-config']), { does: 'create-config', file: undefined })
  t.same(parseCommandLine(['--export', '--export-file-keys', 'k']), {
    does: 'export-torrust-actix',
    file: undefined,
    files: {
      torrent: 'torrents.json',
      whitelist: 'whitelists.json',
      blacklist: 'blacklists.json',
      key: 'k',
      user: 'users.json',
    },
  })
  t.match(parseCommandLine(['--import', '--import-file-users=u']), {
    does: 'import-torrust-actix',
    files: { torrent: 'torrents.json', user: 'u' },
  })
  t.match(parseCommandLine(['import', '--torrust-actix', 'dir']), {
    does: 'import-torrust-actix',
    files: { torrent: 'dir/torrents.json' },
  })
})

t.test('any other argument is a usage error', async t => {
  for (const words of [['--what'], ['file'], ['--config'], ['-x']]) {
    t.throws(() => parseCommandLine(words), OperatorError)
  }
})
