import type { Actor } from '../../../kernel/route.ts'
import type { MlflowAccess } from '../access.ts'
import { getExperiment } from '../experiments.ts'
import { searchModelVersions } from '../model-versions.ts'
import type { MlflowParts } from '../parts.ts'

type Experiment = Awaited<ReturnType<typeof getExperiment>>['experiment']
type Version = Awaited<ReturnType<typeof searchModelVersions>>['model_versions'][number]

const runsPerSearch = 500

/** What one request asks for and has found: a thousand runs of one experiment look it up once, and their versions in two searches. */
export class RequestScope {
  readonly parts: MlflowParts
  readonly access: MlflowAccess
  readonly actor: Actor
  readonly #experiments = new Map<string, Promise<Experiment>>()
  readonly #versions = new Map<string, Promise<Version[]>>()
  #waiting: string[] = []
  #searched: Promise<Map<string, Version[]>> | undefined

  constructor(of: { parts: MlflowParts; access: MlflowAccess; actor: Actor }) {
    this.parts = of.parts
    this.access = of.access
    this.actor = of.actor
  }

  experiment(experimentId: string): Promise<Experiment> {
    let found = this.#experiments.get(experimentId)
    if (!found) {
      found = getExperiment(this.parts, { experiment_id: experimentId }).then(({ experiment }) => experiment)
      this.#experiments.set(experimentId, found)
    }
    return found
  }

  /** All that is asked for in the same turn is searched for together. */
  versionsOf(runId: string): Promise<Version[]> {
    let found = this.#versions.get(runId)
    if (!found) {
      this.#waiting.push(runId)
      this.#searched ??= Promise.resolve().then(() => this.#searchWaiting())
      found = this.#searched.then((byRun) => byRun.get(runId) ?? [])
      this.#versions.set(runId, found)
    }
    return found
  }

  async #searchWaiting(): Promise<Map<string, Version[]>> {
    const runIds = this.#waiting
    this.#waiting = []
    this.#searched = undefined
    const visible = await this.access.visibleModels(this.actor)
    const byRun = new Map<string, Version[]>()
    for (let start = 0; start < runIds.length; start += runsPerSearch) {
      const ids = runIds.slice(start, start + runsPerSearch).map((id) => `'${id}'`)
      const found = await searchModelVersions(this.parts, { filter: `run_id IN (${ids.join(', ')})` }, visible)
      for (const version of found.model_versions)
        byRun.set(version.run_id, [...(byRun.get(version.run_id) ?? []), version])
    }
    return byRun
  }
}
