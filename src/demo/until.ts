import { AppError, isAppError } from '../kernel/errors.ts'
import type { Demo } from './story.ts'

const lookEveryMs = 200

/** Looks until there is something to return. @throws DemoFailed at the deadline, saying what was waited for and where to look. */
export async function until<T>(
  demo: Pick<Demo, 'clock' | 'signal' | 'logs'>,
  { what, withinMs, lastSeen }: { what: string; withinMs: number; lastSeen?: () => string | undefined },
  look: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = demo.clock.now() + withinMs
  for (;;) {
    demo.signal.throwIfAborted()
    const found = await look().catch((error: unknown) => {
      // The supervisor starts a server that ended again.
      if (isAppError(error, 'ServerUnreachable')) return undefined
      throw error
    })
    if (found !== undefined) return found
    if (demo.clock.now() > deadline) {
      const last = lastSeen?.()
      throw failed(
        `${what} did not happen within ${withinMs / 1000} s${last ? ` (last seen: ${last})` : ''}.`,
        demo.logs,
      )
    }
    await demo.clock.sleep(lookEveryMs, demo.signal)
  }
}

export const failed = (message: string, logs: string): AppError =>
  new AppError('DemoFailed', message, `Look into ${logs}; the pages and \`modelwright status\` say more.`)
