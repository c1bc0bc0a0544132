#!/usr/bin/env node
// Runs tap with the given arguments, and then prints the slowest test files of the run.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const RESULTS = '.tap/test-results'
const FILES_SHOWN = 10

const started = Date.now()
const tap = fileURLToPath(import.meta.resolve('tap').replace(/dist\/.*/, 'dist/esm/run.mjs'))
buildTap()
const run = spawn(process.execPath, [tap, ...process.argv.slice(2)], { stdio: 'inherit' })
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => run.kill(signal))
run.on('exit', (code, signal) => {
  printSlowest()
  process.exitCode = code ?? (signal ? 1 : 0)
})

/**
 * tap applies the plugins of .taprc only from the second run on: it loads its classes before it
 * builds them. Each plugin that stays loaded costs every test file a second of processor time.
 */
function buildTap() {
  const classes = readFileSync(
    new URL('../../test-built/dist/esm/index.js', import.meta.resolve('@tapjs/test')),
    'utf8',
  )
  const disabled = [...readFileSync('.taprc', 'utf8').matchAll(/"!(@tapjs\/\w+)"/g)]
  if (disabled.some(([, plugin]) => classes.includes(`"${plugin}"`))) {
    spawnSync(process.execPath, [tap, 'build'], { stdio: 'inherit' })
  }
}

/** tap stores the output of each file, whose last line of its own states the milliseconds. */
function printSlowest() {
  const times = (existsSync(RESULTS) ? readdirSync(RESULTS, { recursive: true }) : [])
    .filter(name => name.endsWith('.tap') && statSync(join(RESULTS, name)).mtimeMs >= started)
    .map(name => [timeOf(readFileSync(join(RESULTS, name), 'utf8')), name.slice(0, -4)])
    .sort(([a], [b]) => b - a)
    .slice(0, FILES_SHOWN)
  // To standard error, because the reporter owns standard output.
  const lines = times.map(([time, name]) => `${time.toFixed(1).padStart(7)}  ${name}\n`)
  process.stderr.write(`\nSlowest test files, in seconds:\n${lines.join('')}`)
}

function timeOf(output) {
  const found = [...output.matchAll(/^# time=([\d.]+)ms/gm)].at(-1)
  return Number(found?.[1] ?? 0) / 1000
}
