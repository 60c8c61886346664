/** Lets requests that have arrived by now be read before it goes on. */
export const atOnceAfterInput = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
