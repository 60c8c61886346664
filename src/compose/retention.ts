import { appendAudit, type PermissionsService } from '../access/index.ts'
import { type ArtifactService, collectGarbage, retentionState, type Swept, sweepObjects } from '../artifacts/index.ts'
import { type Db, transact } from '../db/index.ts'
import { purgeExperiment } from '../evaluations/index.ts'
import type { ImportsService } from '../imports/index.ts'
import { messageOf } from '../kernel/errors.ts'
import { type Endpoint, endpoint } from '../kernel/route.ts'
import type { Clock } from '../ports/clock.ts'
import type { Environments, UnusedEnvironment } from '../ports/environments.ts'
import type { Log } from '../ports/log.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { TracesService } from '../traces/index.ts'
import {
  artifactFolderOf,
  doom,
  doomedLeft,
  type Elsewhere,
  type Held,
  type Purgeable,
  type PurgeChoice,
  purgeable,
  purgeStep,
  type TrackingService,
} from '../tracking/index.ts'
import { textsWithDigests } from './digest-columns.ts'

const day = 24 * 3_600_000
const sweepEveryMs = 6 * 3_600_000
const uploadsKeptMs = day
const environmentsKeptMs = 30 * day
export const defaultGraceMs = day

type Parts = {
  db: Db
  clock: Clock
  log: Log
  objects: ObjectStore
  artifacts: ArtifactService
  tracking: TrackingService
  traces: TracesService
  imports: ImportsService
  permissions: PermissionsService
  environments: Pick<Environments, 'removeUnused'>
  /** How long what was deleted can be restored. */
  retentionMs: number
}

type Collection = { olderThanMs?: number; experiments?: string[]; runs?: string[]; graceMs?: number; dryRun?: boolean }

/**
 * What was deleted goes for good when its time is over, and bytes that nothing refers to any more are freed: in the background, in
 * small pieces, and after a kill from where it was. Asked by the owner, it does so at once.
 */
export class Retention {
  readonly #parts: Parts
  #lastTicket = 0
  #done = 0
  #asked: { ticket: number; graceMs: number }[] = []
  #swept: Swept | undefined
  #unused: UnusedEnvironment[] | undefined
  #failure: string | undefined
  #sweepDue: number

  constructor(parts: Parts) {
    this.#parts = parts
    this.#sweepDue = parts.clock.now() + sweepEveryMs
  }

  /** Whether somebody waits for a pass of this very server. */
  get isAsked(): boolean {
    return this.#asked.length > 0
  }

  async collect(
    collection: Collection,
    actor: string,
  ): Promise<Purgeable & { ticket: number; wouldFree?: Swept; unusedEnvironments?: UnusedEnvironment[] }> {
    const { db, clock } = this.#parts
    const choice = this.#choiceOf(collection)
    const graceMs = collection.graceMs ?? defaultGraceMs
    const held = await heldByVersions(db)
    if (collection.dryRun)
      return {
        ...(await purgeable(db, choice, held)),
        ticket: 0,
        wouldFree: await this.#sweep(graceMs, { dryRun: true }),
        unusedEnvironments: await this.#removeEnvironments({ dryRun: true }),
      }
    const going = await doom(db, choice, held)
    await transact(db, (tx) =>
      appendAudit(tx, {
        at: clock.now(),
        actor,
        action: 'retention.collect',
        subject: `${going.experiments.length} experiments, ${going.runs.length} runs, ${going.loggedModels.length} logged models`,
        details: { ...choice, graceMs },
      }),
    )
    const ticket = ++this.#lastTicket
    this.#asked.push({ ticket, graceMs })
    return { ...going, ticket }
  }

  async state() {
    return {
      retentionMs: this.#parts.retentionMs,
      left: await doomedLeft(this.#parts.db),
      done: this.#done,
      ...(this.#swept ? { swept: this.#swept } : {}),
      ...(this.#unused ? { unusedEnvironments: this.#unused } : {}),
      ...(this.#failure ? { failure: this.#failure } : {}),
    }
  }

  /** One look: what is due is doomed, what is doomed goes, uploads that were given up are freed, and now and then the store is swept. */
  async pass(signal: AbortSignal): Promise<void> {
    const asked = this.#asked.splice(0)
    try {
      await this.#purge(signal)
      await this.#tidyUploads()
      await this.#sweepIfDue(asked, signal)
      this.#failure = undefined
    } catch (error) {
      this.#failure = messageOf(error)
      throw error
    } finally {
      this.#done = asked.at(-1)?.ticket ?? this.#done
    }
  }

  async #purge(signal: AbortSignal): Promise<void> {
    const { db, tracking } = this.#parts
    await doom(db, this.#choiceOf({}), await heldByVersions(db))
    for (let more = true; more && !signal.aborted; ) {
      // Points that were logged before the run was doomed may still be on their way.
      await tracking.settleMetrics()
      more = await purgeStep(db, this.#elsewhere())
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #elsewhere(): Elsewhere {
    const { db, artifacts, imports, permissions, traces } = this.#parts
    return {
      artifacts: async ({ artifactUri, of }, limit) => {
        const folder = artifactFolderOf(artifactUri)
        // A place that others may share is left alone.
        return folder?.split('/').includes(of) ? artifacts.files.removeSome(folder, limit) : 0
      },
      kept: async (of, ids, limit) => {
        if (of === 'run') return (await imports.forget(of, ids, limit)) || traces.purgeLinksToRuns(ids, limit)
        if (of === 'logged-model') return imports.forget(of, ids, limit)
        const [experimentId = ''] = ids
        const removed =
          (await traces.purgeExperiment(experimentId, limit)) ||
          (await purgeExperiment(db, experimentId, limit)) ||
          (await imports.forget(of, ids, limit))
        if (removed > 0) return removed
        await permissions.deleted(['experiment'], experimentId)
        await permissions.deletedWithin('scorer', `${experimentId}/`)
        return 0
      },
    }
  }

  async #tidyUploads(): Promise<void> {
    const { artifacts, clock, log } = this.#parts
    for (const { error, path } of (await artifacts.settler.pass()).failures)
      log.error({ err: error, path }, 'an artifact has no digest yet')
    await artifacts.uploads.expire(clock.now() - uploadsKeptMs)
  }

  async #sweepIfDue(asked: readonly { graceMs: number }[], signal: AbortSignal): Promise<void> {
    const now = this.#parts.clock.now()
    if (asked.length === 0 && now < this.#sweepDue) return
    this.#sweepDue = now + sweepEveryMs
    const graceMs = asked.length === 0 ? defaultGraceMs : Math.min(...asked.map((one) => one.graceMs))
    this.#swept = await this.#sweep(graceMs, { signal })
    this.#unused = await this.#removeEnvironments({})
  }

  #removeEnvironments(options: { dryRun?: boolean }): Promise<UnusedEnvironment[]> {
    return this.#parts.environments.removeUnused(this.#parts.clock.now() - environmentsKeptMs, options)
  }

  #sweep(graceMs: number, options: { dryRun?: boolean; signal?: AbortSignal }): Promise<Swept> {
    return sweepObjects(this.#parts, { roots: () => textsWithDigests(this.#parts.db), graceMs, ...options })
  }

  #choiceOf({ olderThanMs, experiments, runs }: Collection): PurgeChoice {
    const { clock, retentionMs } = this.#parts
    return {
      deletedBefore: clock.now() - (olderThanMs ?? retentionMs),
      ...(experiments ? { experiments } : {}),
      ...(runs ? { runs } : {}),
    }
  }
}

export const retentionEndpoints = (retention: Retention, wake: () => void): Endpoint[] => [
  endpoint(collectGarbage, async ({ body, actor }) => {
    const answer = await retention.collect(body, actor.name)
    wake()
    return answer
  }),
  endpoint(retentionState, () => retention.state()),
]

/** Runs and logged models in whose folders a registered version's files lie: as long as the version is there, they stay. */
async function heldByVersions(db: Db): Promise<Held> {
  const rows = await db
    .selectFrom('model_versions')
    .select(['source', 'storage_location', 'run_id', 'logged_model_id'])
    .where('deleted_at', 'is', null)
    .execute()
  return new Set(
    rows.flatMap((row) => [
      ...(row.run_id ? [row.run_id] : []),
      ...(row.logged_model_id ? [row.logged_model_id] : []),
      ...row.source.split(/[:/]+/),
      ...row.storage_location.split(/[:/]+/),
    ]),
  )
}
