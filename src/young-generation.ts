/**
 * Size of V8's space for new objects in workers and threads that serve requests. Requests leave
 * only garbage, so a larger one lengthens pauses and uses memory, and saves no processor time.
 */
export const SEMI_SPACE_MIB = 2

/** Limits of a thread's heap. V8 makes the young generation three times a semi-space. */
export const THREAD_HEAP = { maxYoungGenerationSizeMb: 3 * SEMI_SPACE_MIB } as const
