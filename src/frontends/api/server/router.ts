import type { Operation } from '../openapi.ts'

/** The result for a known path: its operation, or the methods that it supports. */
export type Route =
  | { readonly operation: Operation; param(name: string): string }
  | { readonly operation: undefined; readonly allow: readonly string[] }

/**
 * Finds the route of a request, or undefined for an unknown path. `method` is in upper case, the
 * path as the client sent it.
 */
export type Router = (method: string, path: string) => Route | undefined

/** One segment of a path and its possible successors. A literal word wins over a parameter. */
type Node = {
  readonly words: Map<string, Node>
  parameter: Node | undefined
  readonly operations: Map<string, Operation>
}

/** Builds a router. It serves HEAD wherever the document has GET. */
export function createRouter(operations: readonly Operation[]): Router {
  const root = createNode()
  for (const operation of operations) addOperation(root, operation)
  return (method, path) => {
    const parts = path.split('/')
    const node = findNode(root, parts, 1)
    if (!node) return undefined
    const operation = node.operations.get(method === 'HEAD' ? 'GET' : method)
    if (!operation) return { operation, allow: allowedMethods(node) }
    const names = operation.path.split('/')
    return { operation, param: name => decode(parts[names.indexOf(`{${name}}`)] ?? '') }
  }
}

function createNode(): Node {
  return { words: new Map(), parameter: undefined, operations: new Map() }
}

function addOperation(root: Node, operation: Operation): void {
  let node = root
  for (const part of operation.path.split('/').slice(1)) {
    let next = part.startsWith('{') ? node.parameter : node.words.get(part)
    if (!next) {
      next = createNode()
      if (part.startsWith('{')) node.parameter = next
      else node.words.set(part, next)
    }
    node = next
  }
  node.operations.set(operation.method, operation)
}

/** Searches both the literal and the parameter branch; paths are short, so this is cheap. */
function findNode(node: Node, parts: readonly string[], at: number): Node | undefined {
  const part = parts[at]
  if (part === undefined) return node.operations.size > 0 ? node : undefined
  const word = node.words.get(part)
  const found = word && findNode(word, parts, at + 1)
  return found ?? (node.parameter && findNode(node.parameter, parts, at + 1))
}

function allowedMethods(node: Node): string[] {
  const methods = [...node.operations.keys()]
  return [...methods, ...(node.operations.has('GET') ? ['HEAD'] : []), 'OPTIONS']
}

/** Percent-decodes `text`, and returns malformed text unchanged. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
