import { access } from './micro/access.ts'
import { engine } from './micro/engine.ts'
import { parse } from './micro/http-request.ts'
import { limits } from './micro/limits.ts'
import { locks } from './micro/locks.ts'
import { sessions } from './micro/sessions.ts'
import { udpLoop } from './micro/udp-loop.ts'
import type { Scenario } from './scenario.ts'
import { attack } from './scenarios/attack.ts'
import { growth } from './scenarios/growth.ts'
import { connections, http, https } from './scenarios/http.ts'
import { httpsConnections } from './scenarios/https-connections.ts'
import { kill } from './scenarios/kill.ts'
import { limitsWhole } from './scenarios/limits-whole.ts'
import { link } from './scenarios/link.ts'
import { loadCurve } from './scenarios/load-curve.ts'
import { memory } from './scenarios/memory.ts'
import { mixed } from './scenarios/mixed.ts'
import { nodes } from './scenarios/nodes.ts'
import { scrape } from './scenarios/scrape.ts'
import { snapshot } from './scenarios/snapshot.ts'
import { start } from './scenarios/start.ts'
import { sweep } from './scenarios/sweep.ts'
import { udpFill, udpKnown, udpLoadTest } from './scenarios/udp.ts'
import { udpUsers } from './scenarios/udp-users.ts'
import { threads, workers } from './scenarios/workers.ts'

/** Scenarios in the order of execution. Scenarios with targets run first. */
export const SCENARIOS: readonly Scenario[] = [
  http,
  https,
  connections,
  httpsConnections,
  udpKnown,
  udpFill,
  udpLoadTest,
  engine,
  growth,
  memory,
  locks,
  sweep,
  snapshot,
  kill,
  start,
  nodes,
  mixed,
  loadCurve,
  link,
  workers,
  threads,
  parse,
  udpLoop,
  access,
  limits,
  limitsWhole,
  sessions,
  udpUsers,
  scrape,
  attack,
]

export function scenarioNamed(name: string): Scenario | undefined {
  return SCENARIOS.find(scenario => scenario.name === name)
}
