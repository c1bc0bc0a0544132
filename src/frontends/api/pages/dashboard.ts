import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { StaticFile, StaticFiles } from './static-files.ts'

/** Types of the files that are served. The folder has source files too, which are not. */
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Files of uPlot that the page loads. */
const UPLOT_FILES = ['uPlot.iife.min.js', 'uPlot.min.css']

/**
 * Loads the dashboard: the page at `/`, and its resources under `/dashboard/`. Throws if the
 * dashboard was not built or uPlot is not installed.
 */
export function loadDashboard(): StaticFiles {
  const folder = fileURLToPath(new URL('../../../dashboard', import.meta.url))
  const uplot = dirname(createRequire(import.meta.url).resolve('uplot/package.json'))
  const paths = [
    ...readdirSync(folder).map(name => join(folder, name)),
    ...UPLOT_FILES.map(name => join(uplot, 'dist', name)),
  ]
  const files = new Map<string, StaticFile>()
  for (const path of paths) {
    const type = TYPES[extname(path)]
    if (type) files.set(urlOf(path), { type, bytes: readFileSync(path) })
  }
  if (!files.has('/')) throw new Error('the dashboard is not built; run npm run build')
  return files
}

function urlOf(path: string): string {
  const name = basename(path)
  return name === 'index.html' ? '/' : `/dashboard/${name}`
}
