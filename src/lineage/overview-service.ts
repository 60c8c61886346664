import { getExecution, listExecutions } from '../executions/executions-contract.ts'
import { listVerdicts } from '../gates/gates-contract.ts'
import type { Client } from '../kernel/client.ts'
import type { Digest } from '../kernel/digest.ts'
import type { OutputOf } from '../kernel/route.ts'
import { listAlerts } from '../monitoring/monitoring-contract.ts'
import { getProject } from '../projects/projects-contract.ts'
import { listPromotions } from '../promotions/promotions-contract.ts'
import { listReproductions } from '../reproductions/reproductions-contract.ts'
import { getRetraining } from '../retraining/retraining-contract.ts'
import { listDeployments } from '../rollouts/rollouts-contract.ts'
import { nextMove } from './decide/next-move.ts'
import { reproduced } from './decide/tell-reproduced.ts'
import type { getOverview, listVersions } from './lineage-contract.ts'
import { executionOnly, type VersionStories } from './version-stories.ts'
import type { VersionViews } from './version-views.ts'

type Overview = OutputOf<typeof getOverview>

/** The loop at a glance, and the versions it made. */
export class OverviewService {
  readonly #ask: Client
  readonly #stories: Pick<VersionStories, 'commit'>
  readonly #views: VersionViews

  constructor(parts: {
    ask: Client
    stories: Pick<VersionStories, 'commit'>
    views: VersionViews
  }) {
    this.#ask = parts.ask
    this.#stories = parts.stories
    this.#views = parts.views
  }

  async overview(name: string): Promise<Overview> {
    const project = await this.#ask(getProject, { params: { project: name } })
    const [commit, execution, verdicts, deployments, promotions, alerts, scheduled] = await Promise.all([
      project.head ? this.#stories.commit(name, project.head) : undefined,
      this.#latestExecution(name),
      this.#ask(listVerdicts, { query: { project: name, limit: 1 } }),
      this.#ask(listDeployments, { params: { project: name } }),
      this.#ask(listPromotions, { params: { project: name }, query: { waiting: 'true', limit: 100 } }),
      this.#ask(listAlerts, { query: { project: name, state: 'open' } }),
      this.#scheduled(name),
    ])
    const [verdict] = verdicts.items
    const facts = {
      project,
      ...(commit ? { commit } : {}),
      ...(execution ? { execution } : {}),
      ...(verdict ? { verdict } : {}),
      deployments: deployments.items,
      promotions: promotions.items.filter(({ waitsForPerson, state }) => waitsForPerson && state !== 'barred'),
      alerts: alerts.items,
      scheduled,
    }
    return { ...facts, next: nextMove(facts) }
  }

  async versions(
    project: string,
    page: { model?: string | undefined; limit: number; pageToken?: string | undefined },
  ): Promise<OutputOf<typeof listVersions>> {
    const found = await this.#views.ofProject(project, {
      limit: page.limit + 1,
      ...(page.model ? { model: page.model } : {}),
      ...(page.pageToken ? { before: page.pageToken } : {}),
    })
    const shown = found.slice(0, page.limit)
    const [deployments, bars, reproductions, conversions] = await Promise.all([
      this.#ask(listDeployments, { params: { project } }),
      this.#views.bars(project),
      this.#ask(listReproductions, { params: { project }, query: { limit: 1000 } }),
      this.#views.conversions(shown.map(({ digest }) => digest as Digest)),
    ])
    const items = shown.map((row) => ({
      ...{ model: row.model, version: row.version, digest: row.digest },
      ...{ executionId: row.execution_id, verdictId: row.verdict_id },
      verdict: row.verdict_outcome as NonNullable<Overview['verdict']>['outcome'],
      createdAt: row.created_at,
      serves: deployments.items.flatMap(({ environment, weights }) =>
        weights.flatMap(({ digest, weight }) => (digest === row.digest ? [{ environment, weight }] : [])),
      ),
      declared: deployments.items.flatMap(({ environment, desired }) =>
        desired?.digest === row.digest ? [environment] : [],
      ),
      barred: bars.flatMap(({ environment, digest, reason }) =>
        digest === row.digest ? [{ environment, reason }] : [],
      ),
      ...reproduced(reproductions.items.filter(({ digest }) => digest === row.digest)),
      ...(conversions.has(row.digest as Digest) ? { conversion: conversions.get(row.digest as Digest)! } : {}),
    }))
    return found.length > page.limit ? { items, nextPageToken: items.at(-1)!.digest } : { items }
  }

  /** The newest that is no snapshot of somebody's working tree; where there is none, the newest at all. */
  async #latestExecution(project: string): Promise<Overview['execution']> {
    const { items } = await this.#ask(listExecutions, { query: { project, limit: 50 } })
    const latest = items.find(({ trigger }) => trigger.kind !== 'run' && trigger.kind !== 'reproduction') ?? items[0]
    if (!latest) return undefined
    const detail = await this.#ask(getExecution, { params: { id: latest.id }, query: { nodes: 'folded' } })
    return { ...executionOnly(detail), nodes: detail.nodes }
  }

  async #scheduled(project: string): Promise<Overview['scheduled']> {
    const { environments } = await this.#ask(getRetraining, { params: { project } })
    const due = environments.flatMap(({ environment, schedules }) =>
      schedules.flatMap(({ text, nextAt }) =>
        nextAt === undefined ? [] : [{ environment, what: `retraining ${text}`, at: nextAt }],
      ),
    )
    return due.sort((a, b) => a.at - b.at)
  }
}
