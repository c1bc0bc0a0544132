import type { Operation } from './openapi.ts'

/** What a method and path lead to: an operation, or a path that knows other methods. */
export type Route =
  | { readonly operation: Operation; param(name: string): string }
  | { readonly operation: undefined; readonly allow: readonly string[] }

/** Finds what is asked for; undefined for a path that there is not. `method` is in upper case, the path as it was sent. */
export type Router = (method: string, path: string) => Route | undefined

/** One part of a path: what may follow it. A word is preferred to a parameter. */
type Node = {
  readonly words: Map<string, Node>
  parameter: Node | undefined
  readonly operations: Map<string, Operation>
}

/** HEAD is served wherever GET is. */
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

/** A path has few parts, and at most one parameter can stand in the place of each. */
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

/** Text that cannot be decoded stays as it is. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
