import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'smol-toml'
import t from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { printConfig, printDefaults, printReference } from '../../src/config/print.ts'
import { repositoryRoot } from '../fixtures/repository-root.ts'

t.test('config.toml and the reference are what the program prints', async t => {
  t.equal(readFileSync(join(repositoryRoot(), 'config.toml'), 'utf8'), printDefaults())
  t.equal(
    readFileSync(join(repositoryRoot(), 'docs/reference/config.md'), 'utf8'),
    printReference(),
  )
})

t.test('a printed configuration is read back to the same values', async t => {
  const { config } = loadConfig({ environment: {} })
  for (const text of [printDefaults(), printConfig(config)]) {
    parse(text)
    const file = `${t.testdir({ 'config.toml': text })}/config.toml`
    t.same(loadConfig({ file, environment: {} }).config, config)
  }
})

t.test('the password of the database is not printed', async t => {
  const { config } = loadConfig({
    environment: { DATABASE__ENGINE: 'mysql', DATABASE__PATH: 'mysql://me:secret@host/tracker' },
  })
  const text = printConfig(config)
  t.match(text, 'path = "mysql://me:********@host/tracker"')
  t.notMatch(text, /:secret@/)
})
