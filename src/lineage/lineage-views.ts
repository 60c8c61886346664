import type { DatasetVersion } from '../artifacts/index.ts'
import type { Db } from '../db/index.ts'
import type { NodeDecision, StepResult } from '../planning/index.ts'
import type { LineageFacts } from './decide/lineage-graph.ts'

const mostExecutions = 1_000
const chunk = 200

/** What every slice recorded of a project that leads from one thing to another; reads only. */
export class LineageViews {
  readonly #db: Db
  readonly #artifacts: { datasetVersions: (project: string) => Promise<DatasetVersion[]> }

  constructor(parts: { db: Db; artifacts: { datasetVersions: (project: string) => Promise<DatasetVersion[]> } }) {
    this.#db = parts.db
    this.#artifacts = parts.artifacts
  }

  /** Of the newest executions; `cut` where there are older ones that are left out. */
  async factsOf(project: string): Promise<{ facts: LineageFacts; cut: boolean }> {
    const rows = await this.#db
      .selectFrom('executions')
      .select(['id', 'commit_id', 'created_at', 'fixed', 'trigger'])
      .where('project', '=', project)
      .orderBy('id', 'desc')
      .limit(mostExecutions + 1)
      .execute()
    // What is made again to compare it leads nowhere.
    const kept = rows
      .slice(0, mostExecutions)
      .filter(({ trigger }) => (JSON.parse(trigger) as { kind: string }).kind !== 'reproduction')
    const [runs, versions, served, datasets] = await Promise.all([
      this.#runs(kept.map(({ id }) => id)),
      this.#versions(project),
      this.#served(project),
      this.#artifacts.datasetVersions(project),
    ])
    const executions = kept.map((row) => ({
      ...{ id: row.id, commit: row.commit_id, createdAt: row.created_at },
      data: Object.values((JSON.parse(row.fixed) as { data: Record<string, DataUse> }).data),
    }))
    return { facts: { executions, runs, versions, datasets, served }, cut: rows.length > mostExecutions }
  }

  /** Each run once: where it was reused later, as its own execution has it. */
  async #runs(executionIds: readonly string[]): Promise<LineageFacts['runs']> {
    const runs = new Map<string, LineageFacts['runs'][number]>()
    for (let i = 0; i < executionIds.length; i += chunk) {
      const rows = await this.#db
        .selectFrom('execution_nodes')
        .select(['execution_id', 'node', 'run_id', 'state', 'decision', 'result', 'started_at', 'ended_at'])
        .where('execution_id', 'in', executionIds.slice(i, i + chunk))
        .where('kind', '=', 'step')
        .where('state', 'in', ['succeeded', 'reused'])
        .execute()
      for (const row of rows) {
        if (!row.run_id || !row.result) continue
        if (runs.has(row.run_id) && row.state === 'reused') continue
        const { outs, model } = JSON.parse(row.result) as StepResult
        const decision = row.decision ? (JSON.parse(row.decision) as NodeDecision) : undefined
        const key = decision && decision.outcome !== 'decided later' && 'parts' in decision ? decision.parts : undefined
        runs.set(row.run_id, {
          ...{ runId: row.run_id, executionId: row.execution_id, step: row.node, outs },
          ...(row.started_at === null ? {} : { startedAt: row.started_at }),
          ...(row.ended_at === null ? {} : { endedAt: row.ended_at }),
          ...(key ? { key } : {}),
          ...(model ? { model } : {}),
        })
      }
    }
    return [...runs.values()]
  }

  async #versions(project: string): Promise<LineageFacts['versions']> {
    const rows = await this.#db
      .selectFrom('judged_versions')
      .innerJoin('model_versions', 'model_versions.manifest_digest', 'judged_versions.digest')
      .select([
        'judged_versions.digest as digest',
        'judged_versions.model as model',
        'judged_versions.version as version',
        'judged_versions.created_at as createdAt',
        'model_versions.logged_model_id as loggedModelId',
      ])
      .where('judged_versions.project', '=', project)
      .where('model_versions.deleted_at', 'is', null)
      .execute()
    return rows.map(({ loggedModelId, ...row }) => ({ ...row, loggedModelId: loggedModelId ?? '' }))
  }

  #served(project: string): Promise<LineageFacts['served']> {
    return this.#db
      .selectFrom('served_versions')
      .select(['environment', 'digest', 'served_at as at'])
      .where('project', '=', project)
      .execute()
  }
}

type DataUse = { dataset: string; path: string; digest: string }
