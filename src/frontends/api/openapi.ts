import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import type { HashName } from './hashes.ts'
import { invalid } from './hashes.ts'
import document from './openapi.json' with { type: 'json' }
import { BAD_JSON_BODY, type Reply } from './replies.ts'

/** One operation of the document: what is asked with which method at which path, and how. */
export type Operation = {
  readonly id: string
  /** In upper case. */
  readonly method: string
  /** As the document has it, with `{name}` for a parameter. */
  readonly path: string
  /** Whether it wants the token. */
  readonly isSecured: boolean
  readonly body: BodyRule | undefined
}

export type BodyRule = {
  readonly isRequired: boolean
  /** The refusal of a body that has not the document's shape. */
  check(body: unknown): Reply | undefined
}

type DocumentedOperation = {
  operationId: string
  security: unknown[]
  requestBody?: { required: boolean; content: { 'application/json': { schema: { $ref: string } } } }
}

/** How a hash is called in the refusal of a list of them. */
const HASHES_OF_SCHEMA: Record<string, HashName> = {
  InfoHashArray: 'info_hash',
  KeyHashArray: 'key_hash',
  UserHashArray: 'user_hash',
}

let compiled: readonly Operation[] | undefined

/** The operations of the document: it is the one place that says which there are. */
export function listOperations(): readonly Operation[] {
  compiled ??= compileOperations()
  return compiled
}

function compileOperations(): Operation[] {
  const ajv = new Ajv2020({ verbose: true, keywords: VOCABULARY })
  // Whole numbers that JavaScript would round are refused, not changed.
  ajv.addFormat('int64', { type: 'number', validate: Number.isSafeInteger })
  ajv.addSchema({ $id: 'document', components: document.components })
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, DocumentedOperation>).map(([method, operation]) => ({
      id: operation.operationId,
      method: method.toUpperCase(),
      path,
      isSecured: operation.security.length > 0,
      body: operation.requestBody && bodyRule(ajv, operation.requestBody),
    })),
  )
}

/** The document as it is sent. */
export function documentBytes(): Uint8Array {
  return Buffer.from(JSON.stringify(document))
}

/** What OpenAPI adds to JSON Schema. */
const VOCABULARY = ['components', 'example']

function bodyRule(
  ajv: Ajv2020,
  { required, content }: NonNullable<DocumentedOperation['requestBody']>,
): BodyRule {
  const { $ref } = content['application/json'].schema
  const hashName = HASHES_OF_SCHEMA[$ref.slice($ref.lastIndexOf('/') + 1)]
  const validate: ValidateFunction = ajv.compile({ $ref: `document${$ref}` })
  return {
    isRequired: required,
    check(body) {
      if (validate(body)) return undefined
      const [error] = validate.errors ?? []
      return error?.keyword === 'pattern' && hashName
        ? invalid(hashName, String(error.data))
        : BAD_JSON_BODY
    },
  }
}
