import { isTheirs } from '../kernel/errors.ts'
import { asStorageError } from '../kernel/storage-errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import { afterTrouble, type Troubles } from './decide/after-trouble.ts'
import type { StepRunner } from './step-runner.ts'
import type { Work } from './step-work.ts'

/** Nothing is begun before `until`. */
type Trouble = Troubles & { until: number }

type Parts = { runner: Pick<StepRunner, 'tellTrouble' | 'giveUp'>; clock: Clock; log: Log }

/** Steps at which Modelwright itself failed, as this process knows it: when each is tried again, and that it ends in the end. */
export class StepTroubles {
  readonly #parts: Parts
  readonly #troubles = new Map<string, Trouble>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  isResting(execution: string, node: string): boolean {
    const until = this.#troubles.get(keyOf(execution, node))?.until ?? 0
    return until > this.#parts.clock.now()
  }

  forget(execution: string, node: string): void {
    this.#troubles.delete(keyOf(execution, node))
  }

  /** An error of ours is told once, where its author looks; in the end it is the step's. Gives how long to wait before the next try. */
  async meet(work: Work, error: unknown, what: string): Promise<number> {
    const { runner, clock, log } = this.#parts
    const { execution, node } = work
    const about = { execution: execution.id, node: node.id }
    const key = keyOf(execution.id, node.id)
    const before = this.#troubles.get(key) ?? { times: 0, ours: 0 }
    const times = before.times + 1
    const ours = before.ours + (isTheirs(asStorageError(error)) ? 0 : 1)
    const { outcome, waitMs } = afterTrouble({ times, ours })
    this.#troubles.set(key, { times, ours, until: clock.now() + waitMs })
    log.error({ err: error, ...about, times }, what)
    try {
      if (outcome === 'ends') {
        await runner.giveUp(work, error, ours)
        this.#troubles.delete(key)
        return 0
      }
      if (times === 1) await runner.tellTrouble(work, error)
    } catch (again) {
      log.error({ err: again, ...about }, 'what is wrong with a step could not be written down')
    }
    return waitMs
  }
}

const keyOf = (execution: string, node: string): string => `${execution} ${node}`
