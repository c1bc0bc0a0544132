/** What an announce says happened, numbered as in BEP 15. */
export const Event = { none: 0, completed: 1, started: 2, stopped: 3 } as const
export type Event = (typeof Event)[keyof typeof Event]
