/**
 * URL of the module that a thread or process is started with: `path` without its extension,
 * relative to the caller's `import.meta.url`. Only this function knows whether sources run directly
 * or compiled.
 */
export function threadUrl(path: string, base: string): URL {
  return new URL(`${path}${base.endsWith('.ts') ? '.ts' : '.js'}`, base)
}
