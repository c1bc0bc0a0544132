/**
 * Compiles what changed: `node build.js`. Nothing is compiled when no input changed since the last
 * build, by content and not by time, so that a copied or checked out tree starts at once.
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
const STAMP = join(out, 'build.json')
const SOURCE_FOLDERS = ['src', 'test', 'bench']
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

/** @returns {string[]} every file that the outputs depend on */
function inputFiles() {
  const settings = ['package-lock.json', 'tsconfig.json', join(DASHBOARD, 'tsconfig.json')]
  const sources = SOURCE_FOLDERS.flatMap(filesIn).filter(
    file => file.endsWith('.ts') || (file.startsWith(DASHBOARD) && ASSET.test(file)),
  )
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

/** @returns {{ hash: string, files: string[] } | undefined} the inputs of the last build */
function lastBuild() {
  try {
    return JSON.parse(readFileSync(STAMP, 'utf8'))
  } catch {
    return undefined
  }
}

/** @param {{ hash: string, files: readonly string[] }} stamp */
function writeStamp(stamp) {
  mkdirSync(out, { recursive: true })
  writeFileSync(STAMP, `${JSON.stringify(stamp)}\n`)
}

/** @param {string} name */
function infoFile(name) {
  return join(out, `${name}.tsbuildinfo`)
}

/** @param {string} project path of a tsconfig.json, @param {string} name of its build information */
function compile(project, name) {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  const { status } = spawnSync(
    process.execPath,
    [tsc, '-p', project, '--incremental', '--tsBuildInfoFile', infoFile(name)],
    { cwd: root, stdio: 'inherit' },
  )
  if (status !== 0) process.exit(status ?? 1)
}

/**
 * @param {readonly string[]} inputs
 * @param {readonly string[]} before the inputs of the last build
 */
function build(inputs, before) {
  const expected = inputs.filter(file => before.includes(file))
  // The compiler does not write an output again that was removed.
  if (!expected.every(isCompiled)) {
    for (const name of ['main', 'dashboard']) rmSync(infoFile(name), { force: true })
  }
  writeStamp({ hash: '', files: expected })
  compile('tsconfig.json', 'main')
  compile(join(DASHBOARD, 'tsconfig.json'), 'dashboard')
  for (const file of inputs.filter(input => ASSET.test(input))) {
    mkdirSync(join(out, dirname(file)), { recursive: true })
    copyFileSync(join(root, file), join(out, file))
  }
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

const inputs = inputFiles()
// A published package has no sources, and is built already.
if (inputs.some(file => file.endsWith('.ts'))) {
  const hash = hashOf(inputs)
  const last = lastBuild()
  if (hash === last?.hash && existsSync(MAIN)) {
    // Nothing changed.
  } else if (!isWritable() && existsSync(MAIN)) {
    console.error('The folder is read-only: the program is not compiled again.')
  } else {
    build(inputs, last?.files ?? inputs)
    writeStamp({ hash, files: inputs })
  }
}
