import { getExecution } from '../executions/executions-contract.ts'
import type { Client } from '../kernel/client.ts'
import { type Digest, isDigest } from '../kernel/digest.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import type { CommitId } from '../kernel/ids.ts'
import type { OutputOf } from '../kernel/route.ts'
import type { EnvironmentLocks } from '../planning/index.ts'
import type { Repositories } from '../ports/repository.ts'
import type { Run, TrackingService } from '../tracking/index.ts'
import { packagesIn } from './decide/describe-content.ts'
import {
  differences,
  fileChanges,
  type MetricValue,
  metricDifferences,
  metricValue,
  sharedCount,
} from './decide/differences.ts'
import type { diffRuns } from './lineage-contract.ts'
import { commitStory, type DataStory, type VersionStories } from './version-stories.ts'

type Diff = OutputOf<typeof diffRuns>

type Side = Diff['a'] & {
  params: Record<string, string>
  metrics: Record<string, MetricValue>
  tags: Record<string, string>
  data: Record<string, DataStory>
  environment: Digest | 'none' | undefined
}

const mostCommits = 50

/** What differs between two runs, or two executions: each side is read alike, then compared. */
export class DiffService {
  readonly #ask: Client
  readonly #tracking: Pick<TrackingService, 'run'>
  readonly #locks: Pick<EnvironmentLocks, 'byDigest'>
  readonly #repositories: Pick<Repositories, 'tree' | 'log'>
  readonly #stories: Pick<VersionStories, 'commit' | 'data' | 'lock'>

  constructor(parts: {
    ask: Client
    tracking: Pick<TrackingService, 'run'>
    locks: Pick<EnvironmentLocks, 'byDigest'>
    repositories: Pick<Repositories, 'tree' | 'log'>
    stories: Pick<VersionStories, 'commit' | 'data' | 'lock'>
  }) {
    this.#ask = parts.ask
    this.#tracking = parts.tracking
    this.#locks = parts.locks
    this.#repositories = parts.repositories
    this.#stories = parts.stories
  }

  async diff(idA: string, idB: string): Promise<Diff> {
    const [a, b] = await Promise.all([this.#side(idA), this.#side(idB)])
    const sameContent = (x: DataStory, y: DataStory) => x.digest === y.digest
    return {
      a: shown(a),
      b: shown(b),
      params: differences(a.params, b.params),
      metrics: metricDifferences(a.metrics, b.metrics),
      tags: differences(a.tags, b.tags),
      environment: await this.#environments(a.environment, b.environment),
      data: differences(a.data, b.data, sameContent),
      code: await this.#code(a, b),
      same: {
        params: sharedCount(a.params, b.params),
        metrics: sharedCount(a.metrics, b.metrics),
        data: sharedCount(a.data, b.data, sameContent),
      },
    }
  }

  async #side(id: string): Promise<Side> {
    if (/^[0-9a-f]{32}$/.test(id)) return this.#runSide(await this.#tracking.run(id))
    try {
      return await this.#executionSide(id)
    } catch (error) {
      if (!isAppError(error, 'NotFound')) throw error
      throw new AppError(
        'NotFound',
        `There is neither a run nor an execution "${id}".`,
        '`modelwright runs` lists them.',
        { cause: error },
      )
    }
  }

  /** A run that a step's script opened by itself belongs where the step's own run does. */
  async #runSide(run: Run): Promise<Side> {
    const owner = run.ownerRunId ? await this.#tracking.run(run.ownerRunId) : run
    const { tags } = owner
    const project = tags['modelwright.project']
    const executionId = tags['modelwright.execution']
    const commitId = tags['mlflow.source.git.commit']
    const commit = project && commitId ? await this.#stories.commit(project, commitId) : undefined
    const detail = executionId ? await this.#execution(executionId) : undefined
    const used = (detail?.data ?? []).filter(({ dataset }) => `modelwright.data.${dataset}` in tags)
    const environment = tags['modelwright.environment']
    return {
      kind: 'run',
      id: run.runId,
      name: run.name,
      ...(project ? { project } : {}),
      ...(executionId ? { executionId } : {}),
      state: run.status,
      at: run.startedAt,
      ...(commit ? { commit } : {}),
      params: run.params,
      metrics: metricsOf(run),
      tags: Object.fromEntries(Object.entries(run.tags).filter(([name]) => !/^(mlflow|modelwright)\./.test(name))),
      data: project ? await this.#data(project, used.length > 0 ? used : (detail?.data ?? [])) : {},
      environment: lockDigest(environment),
    }
  }

  async #executionSide(id: string): Promise<Side> {
    const detail = await this.#ask(getExecution, { params: { id }, query: {} })
    const runs = await Promise.all(
      detail.nodes.flatMap((node) =>
        node.runId ? [this.#tracking.run(node.runId).then((run) => ({ node, run }))] : [],
      ),
    )
    const named = <T>(node: string, values: Readonly<Record<string, T>>) =>
      Object.entries(values).map(([name, value]): [string, T] => [`${node}.${name}`, value])
    const commit = await this.#stories.commit(detail.project, detail.commit)
    const environment = detail.nodes.find(({ kind }) => kind === 'environment')?.decision?.key
    return {
      kind: 'execution',
      id,
      name: detail.subject,
      project: detail.project,
      executionId: id,
      state: detail.state,
      at: detail.createdAt,
      ...(commit ? { commit } : {}),
      params: Object.fromEntries(runs.flatMap(({ node, run }) => named(node.id, run.params))),
      metrics: Object.fromEntries(
        runs.flatMap(({ node, run }) => named(node.id, node.metrics ? withNaN(node.metrics) : metricsOf(run))),
      ),
      tags: {},
      data: await this.#data(detail.project, detail.data),
      environment: lockDigest(environment),
    }
  }

  #execution(id: string): Promise<OutputOf<typeof getExecution> | undefined> {
    return this.#ask(getExecution, { params: { id }, query: {} }).catch(() => undefined)
  }

  async #data(
    project: string,
    used: readonly { dataset: string; digest: string; path: string }[],
  ): Promise<Record<string, DataStory>> {
    const stories = await this.#stories.data(project, used)
    return Object.fromEntries(stories.map((story) => [story.dataset, story]))
  }

  async #environments(a: Side['environment'], b: Side['environment']): Promise<Diff['environment']> {
    const packages = async (digest: Side['environment']) => {
      const lock = digest && digest !== 'none' ? await this.#locks.byDigest(digest) : undefined
      return lock ? { python: lock.pythonVersion, ...Object.fromEntries(packagesIn(lock.requirements)) } : {}
    }
    return {
      ...(a ? { a: await this.#stories.lock(a) } : {}),
      ...(b ? { b: await this.#stories.lock(b) } : {}),
      packages: a === b ? [] : differences<string>(await packages(a), await packages(b)),
    }
  }

  async #code(a: Side, b: Side): Promise<Diff['code']> {
    const nothing = { onlyA: [], onlyB: [], files: [] }
    if (!a.commit || !b.commit || !a.project || a.project !== b.project || a.commit.id === b.commit.id) return nothing
    const { project } = a
    const [commitA, commitB] = [a.commit.id as CommitId, b.commit.id as CommitId]
    const between = async (from: CommitId, until: CommitId) =>
      (await this.#repositories.log(project, from, { until, limit: mostCommits })).map(commitStory)
    return {
      onlyA: await between(commitA, commitB),
      onlyB: await between(commitB, commitA),
      files: fileChanges(
        await this.#repositories.tree(project, commitA),
        await this.#repositories.tree(project, commitB),
      ),
    }
  }
}

function shown({ params: _, metrics: __, tags: ___, data: ____, environment: _____, ...side }: Side): Diff['a'] {
  return side
}

const lockDigest = (text: string | undefined): Digest | 'none' | undefined =>
  text === 'none' || (text !== undefined && isDigest(text)) ? text : undefined

const metricsOf = (run: Run): Record<string, MetricValue> =>
  Object.fromEntries(run.metrics.map(({ key, value }) => [key, metricValue(value)]))

const withNaN = (metrics: Readonly<Record<string, number>>): Record<string, MetricValue> =>
  Object.fromEntries(Object.entries(metrics).map(([key, value]) => [key, metricValue(value)]))
