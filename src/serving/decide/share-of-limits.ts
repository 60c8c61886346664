import type { ServePolicy } from '../../projects/index.ts'

/**
 * The limits of one of several gateway processes: those that Git sets for a deployment as a whole are shared out, rounded up, so that
 * each process has one at least. What is said of a single request or worker stays. Pure.
 * @param processes of the gateway, 1 or more
 */
export function shareOfLimits(serve: ServePolicy, processes: number): ServePolicy {
  const part = (whole: number) => Math.ceil(whole / processes)
  return {
    ...serve,
    ...(serve.workers === undefined ? {} : { workers: part(serve.workers) }),
    ...(serve.concurrency === undefined ? {} : { concurrency: part(serve.concurrency) }),
    ...(serve.queue === undefined ? {} : { queue: part(serve.queue) }),
  }
}
