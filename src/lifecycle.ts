import type { Samples } from './metrics/samples.ts'

/** A component that was started. */
export type Part = {
  /** Stops the component. Resolves to an exit status other than 0 if something was lost. */
  readonly stop: (() => Promise<void>) | (() => Promise<number>)
  /** Ends immediately everything that would outlive this process. */
  kill?(): void
  /** Adds the component's own metrics. */
  collect?(samples: Samples): void
  /** Returns false while the component cannot work. */
  isHealthy?(): boolean
}

/** The components that this process has started so far. */
export type Parts = {
  /** Once true, nothing more may be started. */
  readonly stopping: boolean
  /** Whether all components are started and healthy. */
  readonly isReady: boolean
  add(part: Part): void
  /** Declares that all components are started. */
  ready(): void
  /** Throws if the components are being stopped. */
  throwIfStopping(): void
  collect(samples: Samples): void
  /**
   * Stops every component, the last one first. Resolves to the exit status: 0 if nothing was lost.
   */
  stop(): Promise<number>
  kill(): void
}

export function createParts(): Parts {
  const parts: Part[] = []
  let stopping = false
  let areStarted = false
  return {
    get stopping() {
      return stopping
    },
    get isReady() {
      return areStarted && !stopping && parts.every(part => part.isHealthy?.() ?? true)
    },
    add(part) {
      parts.push(part)
    },
    ready() {
      areStarted = true
    },
    throwIfStopping() {
      if (stopping) throw new Error('the process is being stopped')
    },
    collect(samples) {
      for (const part of parts) part.collect?.(samples)
    },
    async stop() {
      stopping = true
      let status = 0
      for (let part = parts.at(-1); part; part = parts.at(-1)) {
        status = (await part.stop()) || status
        // `kill` could have been necessary until now.
        parts.splice(parts.indexOf(part), 1)
      }
      return status
    },
    kill() {
      for (const part of parts) part.kill?.()
    },
  }
}
