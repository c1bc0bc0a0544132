import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import t from 'tap'

const LOG = new URL('../src/log.js', import.meta.url).href

/** The arguments of Node for a program that uses `createLog`. */
function argumentsFor(program: string): string[] {
  return ['--input-type=module', '-e', `import { createLog } from '${LOG}'\n${program}`]
}

/** Runs a program that uses `createLog`, and returns its output. */
async function run(program: string): Promise<{ out: string; status: number | null }> {
  const child = spawn(process.execPath, argumentsFor(program), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let out = ''
  child.stdout.on('data', chunk => {
    out += chunk
  })
  const [status] = await once(child, 'close')
  return { out, status: status as number | null }
}

t.test('all lines that were logged before an exit are written', async t => {
  const { out, status } = await run(`
    const log = createLog({ level: 'info', format: 'json' }, 'primary')
    for (let n = 0; n < 5000; n++) log.info({ n }, 'one of many')
    log.fatal('the end')
    process.exit(70)`)
  t.equal(status, 70)
  const lines = out.trimEnd().split('\n')
  t.equal(lines.length, 5001)
  t.match(JSON.parse(lines[5000] ?? ''), { level: 60, process: 'primary', msg: 'the end' })
})

t.test('lines below the level are not written', async t => {
  const { out } = await run(`
    const log = createLog({ level: 'warn', format: 'json' }, 'primary')
    log.info('no'); log.warn('yes')`)
  t.same(
    out
      .trimEnd()
      .split('\n')
      .map(line => (JSON.parse(line) as { msg: string }).msg),
    ['yes'],
  )
})

t.test('a value can neither break its line nor forge another', async t => {
  const forged = 'x\n{"level":30,"msg":"forged"}\u001b[2J'
  const { out } = await run(
    `createLog({ level: 'info', format: 'json' }, 'primary').info({ value: ${JSON.stringify(forged)} }, 'real')`,
  )
  t.equal(out.trimEnd().split('\n').length, 1)
  t.notOk(out.includes('\u001b'), 'no control character reaches a terminal')
  t.match(JSON.parse(out), { msg: 'real', value: forged })
})

t.test('a closed reader does not end the program', async t => {
  const program = `
    const log = createLog({ level: 'info', format: 'json' }, 'primary')
    log.info('first')
    process.stdin.on('data', () => { log.info('this is not read'); log.info('nor this'); process.exit(7) })`
  const child = spawn(process.execPath, argumentsFor(program), {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  const gone = once(child.stdout, 'close')
  child.stdout.destroy()
  await gone
  child.stdin.write('go')
  const [status] = await once(child, 'exit')
  t.equal(status, 7)
})

t.test('a full disk does not end the program, nor fail its calls', async t => {
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  const program = `
    const log = createLog({ level: 'info', format: 'json' }, 'primary')
    for (let n = 0; n < 3000; n++) log.info({ n }, 'x'.repeat(1000))
    setImmediate(() => process.exit(7))`
  const child = spawn(process.execPath, argumentsFor(program), {
    stdio: ['ignore', full, 'inherit'],
  })
  const [status] = await once(child, 'exit')
  t.equal(status, 7)
})

t.test('a field of the call replaces the process and pid of the line, once', async t => {
  const { out } = await run(`
    createLog({ level: 'info', format: 'auto' }, 'primary')
      .info({ process: 'worker-1', pid: 7, duration_ms: 3 }, 'worker started')`)
  t.match(JSON.parse(out), { process: 'worker-1', pid: 7, duration_ms: 3, msg: 'worker started' })
  t.equal(out.match(/"pid"/g)?.length, 1)
})

t.test('pretty lines name the process, and the last one is written before an exit', async t => {
  const { out, status } = await run(`
    const log = createLog({ level: 'info', format: 'pretty' }, 'worker-2')
    log.info({ torrents: 5 }, 'first')
    log.error({ err: new Error('broken') }, 'last')
    process.exit(7)`)
  t.equal(status, 7)
  t.match(out, /INFO.*worker-2\[\d+\] first\n {4}torrents: 5\n/)
  t.match(out, /ERROR.*worker-2\[\d+\] last/)
  t.match(out, 'Error: broken')
  t.notOk(out.includes('\u001b'), 'colours only on a terminal')
})

t.test('level off logs nothing', async t => {
  const { out } = await run(
    `createLog({ level: 'off', format: 'json' }, 'primary').fatal('not written')`,
  )
  t.equal(out, '')
})
