/** Something that was started, and how it ends. */
export type Part = {
  /** Ends it in order. Resolves to an exit status other than 0 if something was lost. */
  stop(): Promise<number | void>
  /** Ends what would outlive this process, at once. */
  kill?(): void
}

/** What this process has started so far. */
export type Parts = {
  /** Once true, nothing more is to be started. */
  readonly stopping: boolean
  add(part: Part): void
  /** Stops every part, the last one first. Resolves to the exit status: 0 if nothing was lost. */
  stop(): Promise<number>
  kill(): void
}

export function createParts(): Parts {
  const parts: Part[] = []
  let stopping = false
  return {
    get stopping() {
      return stopping
    },
    add(part) {
      parts.push(part)
    },
    async stop() {
      stopping = true
      let status = 0
      for (let part = parts.at(-1); part; part = parts.at(-1)) {
        status = (await part.stop()) || status
        // Until now it could still have to be killed.
        parts.splice(parts.indexOf(part), 1)
      }
      return status
    },
    kill() {
      for (const part of parts) part.kill?.()
    },
  }
}
