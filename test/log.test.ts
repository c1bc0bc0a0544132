import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'

const LOG = new URL('../src/log.js', import.meta.url).href

/** Runs a program that has `createLog`, and gives what it wrote. */
async function run(program: string): Promise<{ out: string; status: number | null }> {
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', `import { createLog } from '${LOG}'\n${program}`],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let out = ''
  child.stdout.on('data', chunk => {
    out += chunk
  })
  const [status] = await once(child, 'close')
  return { out, status: status as number | null }
}

t.test('the last words before an exit are written, however many', async t => {
  const { out, status } = await run(`
    const log = createLog('info', 'cluster')
    for (let n = 0; n < 5000; n++) log.info({ n }, 'one of many')
    log.fatal('the end')
    process.exit(70)`)
  t.equal(status, 70)
  const lines = out.trimEnd().split('\n')
  t.equal(lines.length, 5001)
  t.match(JSON.parse(lines[5000] ?? ''), { level: 60, room: 'cluster', msg: 'the end' })
})

t.test('what is below the level is not written', async t => {
  const { out } = await run(`
    const log = createLog('warn', 'cluster')
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
    `createLog('info', 'cluster').info({ value: ${JSON.stringify(forged)} }, 'real')`,
  )
  t.equal(out.trimEnd().split('\n').length, 1)
  t.notOk(out.includes('\u001b'), 'no control character reaches a terminal')
  t.match(JSON.parse(out), { msg: 'real', value: forged })
})

t.test('a reader that goes away does not end the program', async t => {
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { createLog } from '${LOG}'
      const log = createLog('info', 'cluster')
      log.info('first')
      process.stdin.on('data', () => { log.info('nobody reads this'); log.info('nor this'); process.exit(7) })`,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  await once(child.stdout, 'data')
  const gone = once(child.stdout, 'close')
  child.stdout.destroy()
  await gone
  child.stdin.write('go')
  const [status] = await once(child, 'exit')
  t.equal(status, 7)
})
