import { setTimeout as sleep } from 'node:timers/promises'
import type { Project } from '../../journeys/support/project.ts'

export type Told = { began: number; at: number; status: number; id: string; value?: unknown; message?: string }

export const clients = 4
/** Longer than a model may take to be loaded on a busy machine, while requests wait. */
const patienceMs = 90_000

/**
 * Clients that ask one after the other until stopped; whatever they were told is kept. No answer at all is status 0; a connection
 * that stays open without a word is status -1, so that a hang is told as one and not as the test's time limit.
 */
export class Load {
  readonly told: Told[] = []
  readonly #project: Project
  readonly #x: number
  readonly #running: Promise<void>[]
  #stopped = false

  constructor(project: Project, x = 1) {
    this.#project = project
    this.#x = x
    this.#running = Array.from({ length: clients }, () => this.#ask())
  }

  async stop(): Promise<Told[]> {
    this.#stopped = true
    await Promise.all(this.#running)
    return this.told
  }

  async #ask(): Promise<void> {
    while (!this.#stopped) {
      const began = Date.now()
      const answered = this.#project.predict([{ x: this.#x }]).then(
        ({ status, id, body }) => ({ status, id, value: body.predictions?.[0], message: JSON.stringify(body) }),
        () => ({ status: 0, id: '' }),
      )
      const silence = new AbortController()
      const told = await Promise.race([
        answered,
        sleep(patienceMs, { status: -1, id: '' }, { signal: silence.signal, ref: false }),
      ]).finally(() => silence.abort())
      this.told.push({ began, at: Date.now(), ...told })
      // Few enough that one page of the log (1,000 rows) holds all of a test, on however fast a machine.
      await sleep(told.status === 200 ? 100 : 50)
    }
  }
}
