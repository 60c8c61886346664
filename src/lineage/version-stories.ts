import type { ArtifactService, DatasetVersion } from '../artifacts/index.ts'
import { getExecution } from '../executions/executions-contract.ts'
import { getVerdict } from '../gates/gates-contract.ts'
import type { Client } from '../kernel/client.ts'
import type { Digest } from '../kernel/digest.ts'
import { isAppError } from '../kernel/errors.ts'
import type { CommitId } from '../kernel/ids.ts'
import type { OutputOf } from '../kernel/route.ts'
import { type EnvironmentLocks, lockedPackages, notIsolated } from '../planning/index.ts'
import type { CommitInfo, Repositories } from '../ports/repository.ts'
import type { PromotionsService } from '../promotions/index.ts'
import { listReproductions } from '../reproductions/reproductions-contract.ts'
import type { TrackingService } from '../tracking/index.ts'
import { contentFrom } from './decide/describe-content.ts'
import { metricValue } from './decide/differences.ts'
import { reproduced } from './decide/tell-reproduced.ts'
import type { whyVersion } from './lineage-contract.ts'
import type { VersionViews } from './version-views.ts'

export type VersionStory = OutputOf<typeof whyVersion>
export type DataStory = VersionStory['data'][number]

/** `path`: where its file lies in the commit. */
type UsedData = { dataset: string; digest: string; path?: string | undefined }

/** What was not isolated may hang on more than what is told here. */
function unisolatedOf(execution: OutputOf<typeof getExecution> | undefined): Pick<VersionStory, 'unisolated'> {
  const open = execution?.nodes.filter(({ decision }) => decision?.reasons.includes(notIsolated)) ?? []
  return open.length > 0 ? { unisolated: open.map(({ id }) => id) } : {}
}

export type VersionStoryParts = {
  ask: Client
  views: VersionViews
  promotions: Pick<PromotionsService, 'manifestOf'>
  artifacts: Pick<ArtifactService, 'datasetVersions'>
  locks: Pick<EnvironmentLocks, 'byDigest'>
  tracking: Pick<TrackingService, 'run'>
  repositories: Pick<Repositories, 'commit'>
}

/** From a version's manifest to everything that it names. What is gone by now is left out; the manifest itself must be there. */
export class VersionStories {
  readonly #parts: VersionStoryParts

  constructor(parts: VersionStoryParts) {
    this.#parts = parts
  }

  async of(digest: Digest): Promise<VersionStory> {
    const { promotions, views, ask } = this.#parts
    const manifest = await promotions.manifestOf(digest)
    const { project, model, modelTree, contentDigest, seed, params, createdAt } = manifest
    const [judged, run, execution, commit, verdict, environment, reproductions, conversions] = await Promise.all([
      views.judged(digest),
      this.#run(manifest.run),
      ifThere(ask(getExecution, { params: { id: manifest.execution }, query: {} })),
      this.commit(project, manifest.commit),
      ifThere(ask(getVerdict, { params: { id: manifest.verdict.id } })),
      this.lock(manifest.environmentLock),
      ask(listReproductions, { params: { project }, query: { digest, limit: 100 } }),
      views.conversions([digest]),
    ])
    const conversion = conversions.get(digest)
    const data = await this.data(
      project,
      Object.entries(manifest.data).map(([dataset, content]) => ({
        ...{ dataset, digest: content },
        path: execution?.data.find((one) => one.dataset === dataset)?.path,
      })),
    )
    return {
      ...{ project, model, digest, createdAt, modelTree, contentDigest, seed, params, data, environment },
      ...(judged ? { version: judged.version } : {}),
      ...(run ? { run } : {}),
      ...(execution ? { execution: executionOnly(execution) } : {}),
      ...(commit ? { commit } : {}),
      ...unisolatedOf(execution),
      ...(verdict ? { verdict } : {}),
      ...reproduced(reproductions.items),
      ...(conversion ? { conversion } : {}),
    }
  }

  async commit(project: string, id: string): Promise<VersionStory['commit']> {
    const info = await ifThere(this.#parts.repositories.commit(project, id))
    return info && commitStory(info)
  }

  async data(project: string, used: readonly UsedData[]): Promise<DataStory[]> {
    const known = await this.#parts.artifacts.datasetVersions(project)
    return used.map((one) => dataStory(one, known))
  }

  async lock(digest: Digest | 'none'): Promise<VersionStory['environment']> {
    const lock = digest === 'none' ? undefined : await this.#parts.locks.byDigest(digest)
    if (!lock) return { digest }
    return { digest, python: lock.pythonVersion, packages: lockedPackages(lock.requirements).length }
  }

  async #run(id: string): Promise<VersionStory['run']> {
    const run = await ifThere(this.#parts.tracking.run(id))
    if (!run) return undefined
    const metrics = Object.fromEntries(run.metrics.map(({ key, value }) => [key, metricValue(value)]))
    const { runId, name, status, startedAt, endedAt, params } = run
    return { id: runId, name, status, startedAt, ...(endedAt === undefined ? {} : { endedAt }), params, metrics }
  }
}

export const commitStory = ({
  id,
  author,
  message,
  at,
}: CommitInfo): { id: CommitId } & NonNullable<VersionStory['commit']> => ({
  ...{ id, author, at },
  subject: message.split('\n')[0] ?? '',
})

/** The execution without its steps, which a page of its own shows. */
export function executionOnly({
  subject: _,
  author: __,
  data: ___,
  nodes: ____,
  ...execution
}: OutputOf<typeof getExecution>): NonNullable<VersionStory['execution']> {
  return execution
}

/** What was deleted since is told as not there, not as a failure of the question. */
export async function ifThere<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (isAppError(error, 'NotFound')) return undefined
    throw error
  }
}

function dataStory({ dataset, digest, path }: UsedData, known: readonly DatasetVersion[]): DataStory {
  const find = (wanted: string) =>
    known.find((one) => one.digest === wanted && one.dataset === dataset) ?? known.find((one) => one.digest === wanted)
  const version = find(digest)
  const parts = version?.origin.kind === 'joined' ? [version.origin.base, version.origin.added] : []
  return {
    dataset,
    ...contentFrom(digest, version, path),
    parts: parts.map((part) => contentFrom(part, find(part), path)),
  }
}
