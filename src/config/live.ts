import type { Config } from './config.ts'
import { SECTIONS } from './schema.ts'
import { deepFreeze } from './validate.ts'

export type LiveConfig = {
  readonly config: Config
  /** Keys whose new value takes effect at the next restart. */
  readonly waiting: readonly string[]
}

type Table = Record<string, unknown>

/** Returns `wanted` with the running values of the keys that need a restart. */
export function liveConfigOf(running: Config, wanted: Config): LiveConfig {
  const config = structuredClone(wanted)
  const waiting: string[] = []

  function holdBack(name: string, keys: readonly string[], from: Table, to: Table): void {
    for (const key of keys) {
      if (JSON.stringify(from[key]) === JSON.stringify(to[key])) continue
      waiting.push(`${name}.${key}`)
      to[key] = from[key]
    }
  }

  for (const [name, section] of Object.entries(SECTIONS)) {
    const { restart = [] } = section
    const keys = restart === 'all' ? Object.keys(section.keys) : restart
    if (keys.length === 0) continue
    const path = name.split('.')
    const last = path.pop() as string
    const tableOf = (config: Config) =>
      path.reduce((table, part) => table[part] as Table, config as Table)
    const [from, to] = [tableOf(running), tableOf(config)]
    if (!section.list) {
      holdBack(name, keys, from[last] as Table, to[last] as Table)
      continue
    }
    const [before, after] = [from[last] as Table[], to[last] as Table[]]
    if (before.length !== after.length) {
      waiting.push(name)
      to[last] = before
      continue
    }
    for (const [n, table] of before.entries()) {
      holdBack(`${name}[${n}]`, keys, table, after[n] as Table)
    }
  }
  return { config: deepFreeze(config), waiting }
}
