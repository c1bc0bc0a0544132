/**
 * URL of a module that a thread or process is started with: `path` without its ending, relative to the caller's `import.meta.url`. The only
 * place that knows whether sources run as they are or compiled.
 */
export function threadUrl(path: string, base: string): URL {
  return new URL(`${path}${base.endsWith('.ts') ? '.ts' : '.js'}`, base)
}
