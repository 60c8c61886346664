import { type Db, statement, type Tx, transact } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { CommitId, ExecutionId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { EnvironmentLock } from '../ports/environments.ts'
import type { KeyParts, ResultOrigin, StepResult } from './plan.ts'

export type KnownBlob = { digest: Digest; size: number }
/** A state of what lies at an address, by the name that it gave to it. */
export type SeenAt = KnownBlob & { validator: string }
export type KeptResult = { result: StepResult; origin: ResultOrigin }
export type EarlierResult = { parts: KeyParts; origin: ResultOrigin }

type ResultRow = { key: string; created_at: number; execution_id: string | null; commit_id: string | null }

/** Tables blob_digests, environment_locks and step_results. */
export class PlanStore {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  async blobs(blobs: readonly string[]): Promise<Map<string, KnownBlob>> {
    const known = new Map<string, KnownBlob>()
    for (const some of inChunks(blobs)) {
      const rows = await this.#db.selectFrom('blob_digests').selectAll().where('blob', 'in', some).execute()
      for (const row of rows) known.set(row.blob, { digest: row.digest as Digest, size: row.size })
    }
    return known
  }

  async rememberBlob(blob: string, { digest, size }: KnownBlob): Promise<void> {
    await this.#db
      .insertInto('blob_digests')
      .values({ blob, digest, size })
      .onConflict((c) => c.doNothing())
      .execute()
  }

  /**
   * What was last seen under the name of an address, by the name that it gave to that state of it. Kept among the blobs, as
   * `at:NAME:VALIDATOR`, one row a name.
   */
  async lastAt(name: Digest): Promise<SeenAt | undefined> {
    const row = await this.#db
      .selectFrom('blob_digests')
      .selectAll()
      .where((e) => e.and(statesOf(name).map(([comparator, bound]) => e('blob', comparator, bound))))
      .orderBy('blob')
      .executeTakeFirst()
    return row && { validator: row.blob.slice(stateOf(name, '').length), digest: row.digest as Digest, size: row.size }
  }

  async rememberAt(name: Digest, { validator, digest, size }: SeenAt): Promise<void> {
    await transact(this.#db, async (tx) => {
      await tx
        .deleteFrom('blob_digests')
        .where((e) => e.and(statesOf(name).map(([comparator, bound]) => e('blob', comparator, bound))))
        .execute()
      await tx
        .insertInto('blob_digests')
        .values({ blob: stateOf(name, validator), digest, size })
        .onConflict((c) => c.column('blob').doUpdateSet({ digest, size }))
        .execute()
    })
  }

  async environmentLock(request: Digest): Promise<EnvironmentLock | undefined> {
    const row = await this.#db
      .selectFrom('environment_locks')
      .selectAll()
      .where('request', '=', request)
      .executeTakeFirst()
    return row && { digest: row.digest as Digest, pythonVersion: row.python_version, requirements: row.requirements }
  }

  async lockByDigest(digest: Digest): Promise<EnvironmentLock | undefined> {
    const row = await this.#db
      .selectFrom('environment_locks')
      .selectAll()
      .where('digest', '=', digest)
      .executeTakeFirst()
    return row && { digest, pythonVersion: row.python_version, requirements: row.requirements }
  }

  /** The first lock of a request stays: what was locked is not locked anew by a race. */
  async rememberLock(request: Digest, lock: EnvironmentLock, now: EpochMs): Promise<EnvironmentLock> {
    await this.#db
      .insertInto('environment_locks')
      .values({
        request,
        digest: lock.digest,
        python_version: lock.pythonVersion,
        requirements: lock.requirements,
        created_at: now,
      })
      .onConflict((c) => c.doNothing())
      .execute()
    return (await this.environmentLock(request))!
  }

  async results(keys: readonly Digest[]): Promise<Map<Digest, KeptResult>> {
    const kept = new Map<Digest, KeptResult>()
    for (const some of inChunks(keys)) {
      const rows = await this.#db
        .selectFrom('step_results')
        .select(['key', 'result', 'created_at', 'execution_id', 'commit_id'])
        .where('key', 'in', some)
        .execute()
      for (const row of rows) kept.set(row.key as Digest, keptOf(row))
    }
    return kept
  }

  /** The newest results of a step, newest first, with the parts that a change is explained against. */
  async newest(project: string, step: string, limit: number): Promise<EarlierResult[]> {
    const rows = await this.#db
      .selectFrom('step_results')
      .selectAll()
      .where('project', '=', project)
      .where('step', '=', step)
      .orderBy('created_at', 'desc')
      .orderBy('key')
      .limit(limit)
      .execute()
    return rows.map(earlierOf)
  }

  /** The newest result of each of many steps. */
  async newestOfEach(project: string, steps: readonly string[]): Promise<Map<string, EarlierResult>> {
    const found = new Map<string, EarlierResult>()
    for (const some of inChunks(steps)) {
      const rows = await this.#newestRows(project, some).select('result.parts').execute()
      for (const row of rows) if (!found.has(row.step)) found.set(row.step, earlierOf(row))
    }
    return found
  }

  /** The same by key: where little has changed, one question answers for many steps. */
  async newestByKey(project: string, steps: readonly string[]): Promise<Map<Digest, KeptResult>> {
    const found = new Map<Digest, KeptResult>()
    for (const some of inChunks(steps)) {
      const rows = await this.#newestRows(project, some).select('result.result').execute()
      for (const row of rows) found.set(row.key as Digest, keptOf(row))
    }
    return found
  }

  #newestRows(project: string, steps: readonly string[]) {
    return this.#db
      .selectFrom('step_results as result')
      .innerJoin(
        (from) =>
          from
            .selectFrom('step_results')
            .select(['step', (e) => e.fn.max('created_at').as('at')])
            .where('project', '=', project)
            .where('step', 'in', steps)
            .groupBy('step')
            .as('newest'),
        (join) => join.onRef('newest.step', '=', 'result.step').onRef('newest.at', '=', 'result.created_at'),
      )
      .select(['result.key', 'result.step', 'result.created_at', 'result.execution_id', 'result.commit_id'])
      .where('result.project', '=', project)
      .orderBy('result.key')
  }

  async rememberResult(
    tx: Tx,
    entry: {
      key: Digest
      project: string
      step: string
      parts: KeyParts
      result: StepResult
      executionId: ExecutionId
      commit: CommitId
      now: EpochMs
    },
    /** A reproduction's results never take the place of what they are compared with. */
    { replaces }: { replaces: boolean },
  ): Promise<void> {
    await (replaces ? replaceResult : addResult)(tx, [
      entry.key,
      entry.project,
      entry.step,
      JSON.stringify(entry.parts),
      JSON.stringify(entry.result),
      entry.now,
      entry.executionId,
      entry.commit,
    ])
  }
}

const insertResult =
  'insert into step_results (key, project, step, parts, result, created_at, execution_id, commit_id) values (?, ?, ?, ?, ?, ?, ?, ?)'
const addResult = statement(`${insertResult} on conflict (key) do nothing`)
const replaceResult = statement(
  `${insertResult} on conflict (key) do update set result = excluded.result, created_at = excluded.created_at,
  execution_id = excluded.execution_id, commit_id = excluded.commit_id`,
)

const earlierOf = (row: ResultRow & { parts: string }): EarlierResult => ({
  parts: JSON.parse(row.parts) as KeyParts,
  origin: originOf(row),
})

const keptOf = (row: ResultRow & { result: string }): KeptResult => ({
  result: JSON.parse(row.result) as StepResult,
  origin: originOf(row),
})

const originOf = (row: ResultRow): ResultOrigin => ({
  key: row.key as Digest,
  at: row.created_at,
  ...(row.execution_id ? { executionId: row.execution_id as ExecutionId } : {}),
  ...(row.commit_id ? { commit: row.commit_id as CommitId } : {}),
})

const stateOf = (name: Digest, validator: string): string => `at:${name}:${validator}`

/** `;` comes behind `:`. */
const statesOf = (name: Digest): ['>=' | '<', string][] => [
  ['>=', stateOf(name, '')],
  ['<', `at:${name};`],
]

/** A statement takes only so many parameters. */
function* inChunks<T>(items: readonly T[], size = 500): Generator<T[]> {
  for (let i = 0; i < items.length; i += size) yield items.slice(i, i + size)
}
