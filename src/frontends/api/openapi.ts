import { createRequire } from 'node:module'
import type { Ajv2020, ValidateFunction } from 'ajv/dist/2020.js'
import { type KeyFormat, normalKey } from '../../protocol/key.ts'
import type { HashName } from './hashes.ts'
import { invalid } from './hashes.ts'
import document from './openapi.json' with { type: 'json' }
import { BAD_JSON_BODY, type Reply } from './replies.ts'

/** One operation of the OpenAPI document. */
export type Operation = {
  readonly id: string
  /** In upper case. */
  readonly method: string
  /** Path template of the document, with `{name}` for a parameter. */
  readonly path: string
  /** Whether the operation requires the token. */
  readonly isSecured: boolean
  readonly body: BodyRule | undefined
}

export type BodyRule = {
  readonly isRequired: boolean
  /** Returns the refusal of a body that does not match the document's schema. */
  check(body: unknown, format: KeyFormat): Reply | undefined
}

type DocumentedOperation = {
  operationId: string
  security: unknown[]
  requestBody?: { required: boolean; content: { 'application/json': { schema: { $ref: string } } } }
}

/** Name of a hash in the refusal of a list, by the name of the list's schema. */
const HASHES_OF_SCHEMA: Record<string, HashName> = {
  InfoHashArray: 'info_hash',
  KeyHashArray: 'key_hash',
  UserHashArray: 'user_hash',
}

let compiled: readonly Operation[] | undefined

/** Lists the operations of the document, which is the only list of routes. */
export function listOperations(): readonly Operation[] {
  compiled ??= compileOperations()
  return compiled
}

function compileOperations(): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, DocumentedOperation>).map(([method, operation]) => ({
      id: operation.operationId,
      method: method.toUpperCase(),
      path,
      isSecured: operation.security.length > 0,
      body: operation.requestBody && bodyRule(operation.requestBody),
    })),
  )
}

let schemas: Ajv2020 | undefined

/** The schemas of the document, which are loaded for the first body. */
function documentSchemas(): Ajv2020 {
  schemas ??= loadSchemas()
  return schemas
}

function loadSchemas(): Ajv2020 {
  const require = createRequire(import.meta.url)
  const { Ajv2020 } = require('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js')
  // A test validates the schemas. Without validation and optimization, this takes half the time.
  const ajv = new Ajv2020({
    verbose: true,
    keywords: VOCABULARY,
    validateSchema: false,
    meta: false,
    code: { optimize: false },
  })
  // Integers that a JavaScript number cannot represent are refused instead of rounded.
  ajv.addFormat('int64', { type: 'number', validate: Number.isSafeInteger })
  ajv.addSchema({ $id: 'document', components: document.components })
  return ajv
}

/** Returns the document as the API serves it. */
export function documentBytes(): Uint8Array {
  return Buffer.from(JSON.stringify(document))
}

/** Keywords that OpenAPI adds to JSON Schema. */
const VOCABULARY = ['components', 'example']

function bodyRule({
  required,
  content,
}: NonNullable<DocumentedOperation['requestBody']>): BodyRule {
  const { $ref } = content['application/json'].schema
  const hashName = HASHES_OF_SCHEMA[$ref.slice($ref.lastIndexOf('/') + 1)]
  let validate: ValidateFunction | undefined
  return {
    isRequired: required,
    check(body, format) {
      // The document describes keys of 40 hexadecimal digits.
      if (format === 'text' && hashName && hashName !== 'info_hash') {
        return checkTextKeys(body, hashName)
      }
      validate ??= documentSchemas().compile({ $ref: `document${$ref}` })
      if (validate(body)) return undefined
      const [error] = validate.errors ?? []
      return error?.keyword === 'pattern' && hashName
        ? invalid(hashName, String(error.data))
        : BAD_JSON_BODY
    },
  }
}

function checkTextKeys(body: unknown, name: HashName): Reply | undefined {
  if (!Array.isArray(body)) return BAD_JSON_BODY
  for (const text of body) {
    if (typeof text !== 'string') return BAD_JSON_BODY
    if (normalKey(text, 'text') === undefined) return invalid(name, text)
  }
  return undefined
}
