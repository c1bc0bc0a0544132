/**
 * Compiles what changed: `node build.js`. Nothing is compiled when no input changed since the last
 * build, by content and not by time, so that a copied or checked out tree starts at once.
 *
 * `node build.js --no-check` does not check types, which takes more than half of the processor time;
 * the next build without the option does. `node build.js --program` compiles what `npm start` needs:
 * without the check, tests and benchmarks.
 *
 * Plain JavaScript, because it runs before anything is compiled.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(fileURLToPath(import.meta.url))
const out = join(root, 'dist')
const isProgramOnly = process.argv.includes('--program')
const isUnchecked = process.argv.includes('--no-check')
const STAMP = join(out, 'build.json')
const UNCHECKED_STAMP = join(out, 'unchecked.json')
const PROGRAM_STAMP = join(out, 'program.json')
const PROGRAM_FOLDERS = ['src']
const SOURCE_FOLDERS = [...PROGRAM_FOLDERS, 'test', 'bench']
const DASHBOARD = join('src', 'dashboard')
/** Files that the dashboard needs as they are. */
const ASSET = /\.(html|css|svg)$/
const MAIN = join(out, 'src', 'main.js')

/** @returns {string[]} paths of all files in `folder`, relative to the root */
function filesIn(folder) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1))
    .sort()
}

/**
 * @param {readonly string[]} folders
 * @returns {string[]} every file that the outputs of `folders` depend on
 */
function inputFiles(folders) {
  const settings = ['package-lock.json', 'tsconfig.json', join(DASHBOARD, 'tsconfig.json')]
  const sources = folders
    .flatMap(filesIn)
    .filter(file => file.endsWith('.ts') || (file.startsWith(DASHBOARD) && ASSET.test(file)))
  return [...settings, ...sources].filter(file => existsSync(join(root, file)))
}

/** @param {readonly string[]} files */
function hashOf(files) {
  const hash = createHash('sha1')
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(join(root, file)))
  return hash.digest('hex')
}

/** @param {string} output a file in `dist` */
function hasSource(output) {
  const source = output.replace(/^dist\//, '')
  const compiled = source.replace(/\.js(\.map)?$/, '.ts')
  return existsSync(join(root, source)) || existsSync(join(root, compiled))
}

/** @param {string} source */
function isCompiled(source) {
  const output = join(out, source.replace(/\.ts$/, '.js'))
  return !source.endsWith('.ts') || source.endsWith('.d.ts') || existsSync(output)
}

/**
 * @param {string} stamp path of one of the stamps
 * @returns {{ hash: string, files: string[] } | undefined} the inputs of the last build
 */
function lastBuild(stamp) {
  try {
    return JSON.parse(readFileSync(stamp, 'utf8'))
  } catch {
    return undefined
  }
}

/**
 * @param {string} stamp path of one of the stamps
 * @param {{ hash: string, files: readonly string[] }} inputs
 */
function writeStamp(stamp, inputs) {
  mkdirSync(out, { recursive: true })
  writeFileSync(stamp, `${JSON.stringify(inputs)}\n`)
}

/** @param {string} name */
function infoFile(name) {
  return join(out, `${name}.tsbuildinfo`)
}

/**
 * @param {string} project path of a tsconfig.json
 * @param {readonly string[]} options
 */
function compile(project, options) {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  const { status } = spawnSync(process.execPath, [tsc, '-p', project, ...options], {
    cwd: root,
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(status ?? 1)
}

/** Compiles the program without tests and without the check of types. */
function buildProgram() {
  console.error('Compiling the program. This takes ten seconds or more, once.')
  // The outputs of a build of everything are overwritten.
  for (const file of [STAMP, UNCHECKED_STAMP, infoFile('main'), infoFile('dashboard')]) {
    rmSync(file, { force: true })
  }
  const project = join(out, 'program.tsconfig.json')
  const settings = {
    extends: '../tsconfig.json',
    include: ['../src'],
    exclude: ['../src/dashboard'],
  }
  mkdirSync(out, { recursive: true })
  writeFileSync(project, JSON.stringify(settings))
  compile(project, ['--noCheck'])
  compile(DASHBOARD, ['--noCheck'])
  copyAssets()
  removeOutputsWithoutSource()
}

/**
 * Compiles everything, and checks types without `--no-check`.
 *
 * @param {readonly string[]} inputs
 * @param {readonly string[]} before the inputs of the last build
 */
function build(inputs, before) {
  const expected = inputs.filter(file => before.includes(file))
  // The compiler does not write an output again that was removed.
  if (!expected.every(isCompiled)) {
    for (const name of ['main', 'dashboard']) rmSync(infoFile(name), { force: true })
  }
  for (const stamp of [PROGRAM_STAMP, UNCHECKED_STAMP]) rmSync(stamp, { force: true })
  writeStamp(STAMP, { hash: '', files: expected })
  const options = isUnchecked ? ['--noCheck', '--incremental'] : ['--incremental']
  compile('tsconfig.json', [...options, '--tsBuildInfoFile', infoFile('main')])
  compile(DASHBOARD, [...options, '--tsBuildInfoFile', infoFile('dashboard')])
  copyAssets()
  removeOutputsWithoutSource()
}

function copyAssets() {
  mkdirSync(join(out, DASHBOARD), { recursive: true })
  for (const file of filesIn(DASHBOARD).filter(input => ASSET.test(input))) {
    copyFileSync(join(root, file), join(out, file))
  }
}

function removeOutputsWithoutSource() {
  for (const file of SOURCE_FOLDERS.flatMap(folder => filesIn(join('dist', folder)))) {
    if (!hasSource(file)) rmSync(join(root, file))
  }
}

function isWritable() {
  try {
    accessSync(root, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** Whether the outputs are those of these inputs, of this kind of build or of a more complete one. */
function isUpToDate() {
  if (!existsSync(MAIN)) return false
  const hash = hashOf(inputs)
  if (hash === lastBuild(STAMP)?.hash) return true
  if ((isUnchecked || isProgramOnly) && hash === lastBuild(UNCHECKED_STAMP)?.hash) return true
  return isProgramOnly && hashOf(programInputs) === lastBuild(PROGRAM_STAMP)?.hash
}

const inputs = inputFiles(SOURCE_FOLDERS)
const programInputs = inputFiles(PROGRAM_FOLDERS)
// A published package has no sources, and is built already.
if (inputs.some(file => file.endsWith('.ts')) && !isUpToDate()) {
  if (!isWritable() && existsSync(MAIN)) {
    console.error('The folder is read-only: the program is not compiled again.')
  } else if (isProgramOnly) {
    buildProgram()
    writeStamp(PROGRAM_STAMP, { hash: hashOf(programInputs), files: programInputs })
  } else {
    build(inputs, lastBuild(STAMP)?.files ?? inputs)
    // The list of files stays in STAMP; its hash is that of a checked build only.
    const hash = hashOf(inputs)
    writeStamp(STAMP, { hash: isUnchecked ? '' : hash, files: inputs })
    if (isUnchecked) writeStamp(UNCHECKED_STAMP, { hash, files: inputs })
  }
}
