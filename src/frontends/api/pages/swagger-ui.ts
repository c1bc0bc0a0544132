import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { documentBytes } from '../openapi.ts'
import type { StaticFile, StaticFiles } from './static-files.ts'

/** Files of the package that its page loads. */
const FILES: Record<string, string> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'index.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'swagger-ui-standalone-preset.js': 'text/javascript; charset=utf-8',
  'favicon-16x16.png': 'image/png',
  'favicon-32x32.png': 'image/png',
  'index.html': 'text/html; charset=utf-8',
}

/** Replaces the package's own initializer, which shows a demo API. */
const INITIALIZER = `window.ui = SwaggerUIBundle({
  url: '/api/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: 'StandaloneLayout',
})
`

/**
 * Loads the OpenAPI document, and Swagger UI under `/swagger-ui/`. Throws if the package is not
 * installed.
 */
export function loadSwaggerUi(): StaticFiles {
  const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))
  const files = new Map<string, StaticFile>()
  for (const [name, type] of Object.entries(FILES)) {
    files.set(`/swagger-ui/${name}`, { type, bytes: readFileSync(join(folder, name)) })
  }
  const index = files.get('/swagger-ui/index.html')
  if (index) files.set('/swagger-ui/', index)
  files.set('/swagger-ui/swagger-initializer.js', {
    type: 'text/javascript; charset=utf-8',
    bytes: Buffer.from(INITIALIZER),
  })
  files.set('/api/openapi.json', { type: 'application/json', bytes: documentBytes() })
  return files
}
