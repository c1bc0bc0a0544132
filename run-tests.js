#!/usr/bin/env node
/**
 * Runs the compiled test files, each in its own process: `node run-tests.js [OPTION] [FILE]...`
 *
 *   --long           the files *.long.test.js instead of all others
 *   --jobs=N         files at a time, by default 4
 *   --timeout=N      seconds for a file, by default 300
 *   --retry          run up to 3 files that failed once more, alone; report the first failures
 *   --coverage=DIR   V8's coverage of each process of a test, for check-coverage.ts
 *   --reporter=tap   the whole output of all files as TAP, instead of a line for each file
 *
 * tap's own runner loads a module into every process, and into each of its threads, that records
 * which files a test loads. That doubles the processor time of the suite. This runner does not.
 * Plain JavaScript, because it needs nothing compiled.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const TESTS = join('dist', 'test')
const RESULTS = join('.tap', 'test-results')
const TIMES = join('.tap', 'times.json')
const FILES_SHOWN = 10
/**
 * glibc raises this bound when large memory is freed. Memory below it is filled with zeros at once,
 * above it page by page, when used. Tests make tables of some MiB by the hundred.
 */
const MALLOC_MMAP_BYTES = 2 ** 20
const RETRIES_MAX = 3
/** How long tap may take to report its own timeout. */
const TIMEOUT_GRACE_SECONDS = 15
/** Seconds to assume for a file that never ran: most of those that start servers take longer. */
const [SECONDS_WITH_SERVER, SECONDS_WITHOUT] = [10, 1]

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    long: { type: 'boolean', default: false },
    jobs: { type: 'string', default: '4' },
    timeout: { type: 'string', default: '300' },
    retry: { type: 'boolean', default: false },
    coverage: { type: 'string' },
    reporter: { type: 'string', default: 'lines' },
  },
})

/** @typedef {{ file: string, passed: boolean, seconds: number, output: string }} Result */

/** @returns {string[]} all files of the suite */
function suite() {
  return readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
    .map(name => join(TESTS, name))
    .filter(name => name.endsWith('.test.js') && !name.includes('/fixtures/'))
    .filter(name => name.endsWith('.long.test.js') === options.long)
    .sort()
}

/** @returns {Record<string, number>} seconds of each file in earlier runs */
function readTimes() {
  try {
    return JSON.parse(readFileSync(TIMES, 'utf8'))
  } catch {
    return {}
  }
}

/** @param {string} file */
function assumedSeconds(file) {
  return /racker\(|startNode/.test(readFileSync(file, 'utf8'))
    ? SECONDS_WITH_SERVER
    : SECONDS_WITHOUT
}

/** The running tests. @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set()

/**
 * Signals a test and the processes that it has started.
 * @param {import('node:child_process').ChildProcess} child
 * @param {NodeJS.Signals} signal
 */
function signalGroup({ pid }, signal) {
  try {
    if (pid !== undefined) process.kill(-pid, signal)
  } catch (error) {
    // All of them have ended.
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error
  }
}

/** @param {string} file @returns {Promise<Result>} */
function runFile(file) {
  const began = performance.now()
  const child = spawn(process.execPath, ['--enable-source-maps', file], {
    // A process group of its own, which ends with the test.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      TAP: '1',
      TAP_TIMEOUT: options.timeout,
      MALLOC_MMAP_THRESHOLD_: String(MALLOC_MMAP_BYTES),
      ...(options.coverage && { NODE_V8_COVERAGE: resolve(options.coverage) }),
    },
  })
  running.add(child)
  /** @type {Buffer[]} */
  const chunks = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => chunks.push(data))
  const seconds = Number(options.timeout) + TIMEOUT_GRACE_SECONDS
  const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), seconds * 1000)
  return new Promise(done => {
    // What a test has left would keep its output open, and this from being called.
    child.once('exit', () => signalGroup(child, 'SIGKILL'))
    child.once('close', (status, signal) => {
      clearTimeout(timer)
      running.delete(child)
      const output = Buffer.concat(chunks).toString('utf8')
      const hasAssertions = /^ *(ok|not ok) /m.test(output)
      const reason = signal ? `killed by ${signal}` : `exit status ${status}`
      done({
        file,
        passed: status === 0 && hasAssertions,
        seconds: (performance.now() - began) / 1000,
        output: hasAssertions ? output : `${output}\n# no assertions, ${reason}`,
      })
    })
  })
}

/** Lines of `output` that explain a failure. @param {string} output */
function failuresIn(output) {
  return output
    .split('\n')
    .filter(line => !/^ *(ok |1\.\.|# Subtest|$)/.test(line))
    .join('\n')
}

/** @param {string} text */
function write(text) {
  process.stdout.write(`${text}\n`)
}

/** @param {Result} result @param {number} number */
function print({ file, passed, seconds, output }, number) {
  const status = passed ? 'ok' : 'not ok'
  if (options.reporter === 'tap') {
    const inner = output.trimEnd().replace(/^/gm, '    ')
    const time = `# time=${Math.round(seconds * 1000)}ms`
    write(`# Subtest: ${file}\n${inner}\n${status} ${number} - ${file} ${time}`)
  } else {
    write(`${status.padEnd(6)} ${seconds.toFixed(1).padStart(6)} s  ${file}`)
    if (!passed) write(failuresIn(output))
  }
}

/** Reports a failure after which the file is run again. @param {Result} result */
function printFirstFailure({ file, output }) {
  write(`# FAILED ONCE ${file}\n${failuresIn(output)}`.replace(/^(?!#)/gm, '# '))
}

/** @param {readonly Result[]} results @param {number} seconds */
function printSummary(results, seconds) {
  const lines = results.flatMap(({ output }) => output.split('\n'))
  // The line of a subtest states its time.
  const assertions = lines.filter(line => /^ *(not )?ok /.test(line) && !/# time=\S+$/.test(line))
  const skipped = assertions.filter(line => line.includes('# SKIP')).length
  const failed = results.filter(({ passed }) => !passed)
  const slowest = [...results].sort((a, b) => b.seconds - a.seconds).slice(0, FILES_SHOWN)
  process.stderr.write(
    [
      '\nSlowest test files, in seconds:',
      ...slowest.map(result => `${result.seconds.toFixed(1).padStart(7)}  ${result.file}`),
      `\n${results.length} files with ${assertions.length} assertions in ${Math.round(seconds)} s: ` +
        `${failed.length} files failed, ${skipped} assertions skipped`,
      ...failedOnce.map(file => `failed once  ${file}, output in ${join(RESULTS, file)}.first.tap`),
      ...failed.map(({ file }) => `not ok  ${file}, output in ${join(RESULTS, file)}.tap`),
      '',
    ].join('\n'),
  )
}

/** @param {NodeJS.Signals} signal */
function stop(signal) {
  for (const child of running) signalGroup(child, signal)
  process.exit(1)
}
process.on('SIGINT', () => stop('SIGINT'))
process.on('SIGTERM', () => stop('SIGTERM'))

const times = readTimes()
const files = positionals.length > 0 ? positionals : suite()
const expected = new Map(files.map(file => [file, times[file] ?? assumedSeconds(file)]))
// The longest first, so that none of them is the last one that runs.
const waiting = files.sort((a, b) => (expected.get(b) ?? 0) - (expected.get(a) ?? 0))
/** @type {Result[]} */
const results = []
/** Files that failed once. @type {string[]} */
const failedOnce = []

/** @param {Result} result @param {string} suffix of the file with its output */
function saveOutput({ file, output }, suffix) {
  const saved = `${join(RESULTS, file)}${suffix}`
  mkdirSync(dirname(saved), { recursive: true })
  writeFileSync(saved, output)
}

/** @param {Result} result */
function finish(result) {
  results.push(result)
  times[result.file] = result.seconds
  saveOutput(result, '.tap')
  print(result, results.length)
}

async function runWaiting() {
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    const result = await runFile(file)
    if (result.passed || !options.retry || failedOnce.length === RETRIES_MAX) {
      finish(result)
      continue
    }
    failedOnce.push(file)
    saveOutput(result, '.first.tap')
    printFirstFailure(result)
  }
}

const began = performance.now()
if (options.reporter === 'tap') write(`TAP version 14\n1..${waiting.length}`)
await Promise.all(Array.from({ length: Number(options.jobs) }, runWaiting))
for (const file of failedOnce) finish(await runFile(file))
writeFileSync(TIMES, `${JSON.stringify(times, null, 2)}\n`)
printSummary(results, (performance.now() - began) / 1000)
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1
