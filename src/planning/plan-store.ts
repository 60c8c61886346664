import type { Db, Tx } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { EnvironmentLock } from '../ports/environments.ts'
import type { KeyParts, StepResult } from './plan.ts'

export type KnownBlob = { digest: Digest; size: number }

/** Tables blob_digests, environment_locks and step_results. */
export class PlanStore {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  async blobs(blobs: readonly string[]): Promise<Map<string, KnownBlob>> {
    const known = new Map<string, KnownBlob>()
    for (let i = 0; i < blobs.length; i += 500) {
      const rows = await this.#db
        .selectFrom('blob_digests')
        .selectAll()
        .where('blob', 'in', blobs.slice(i, i + 500))
        .execute()
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

  async result(key: Digest): Promise<StepResult | undefined> {
    const row = await this.#db.selectFrom('step_results').select('result').where('key', '=', key).executeTakeFirst()
    return row && (JSON.parse(row.result) as StepResult)
  }

  /** The parts of the newest result of a step: what a change is explained against. */
  async newestParts(project: string, step: string): Promise<KeyParts | undefined> {
    const row = await this.#db
      .selectFrom('step_results')
      .select('parts')
      .where('project', '=', project)
      .where('step', '=', step)
      .orderBy('created_at', 'desc')
      .limit(1)
      .executeTakeFirst()
    return row && (JSON.parse(row.parts) as KeyParts)
  }

  async rememberResult(
    tx: Tx,
    entry: { key: Digest; project: string; step: string; parts: KeyParts; result: StepResult; now: EpochMs },
  ): Promise<void> {
    const row = {
      key: entry.key,
      project: entry.project,
      step: entry.step,
      parts: JSON.stringify(entry.parts),
      result: JSON.stringify(entry.result),
      created_at: entry.now,
    }
    await tx
      .insertInto('step_results')
      .values(row)
      .onConflict((c) => c.column('key').doUpdateSet({ result: row.result, created_at: row.created_at }))
      .execute()
  }
}
