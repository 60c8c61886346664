import { type Db, publish, type Tx, transact } from '../db/index.ts'
import type { ProjectsTables } from '../db/tables/projects.ts'
import type { CommitId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import { branchMoves, type PushIntent } from './decide/branch-moves.ts'

/** `head` is where the authoritative branch stands, as recorded; absent before the first push. */
export type Project = { name: string; branch: string; createdAt: EpochMs; head?: CommitId }

/** Who moved branches, for those moves that no push explains. */
export type Observer = { actor: string; origin: 'push' | 'modelwright' }

export type RecordedHead = { branch: string; commit: CommitId; movedAt: EpochMs; actor: string }

type RealHead = { branch: string; head: CommitId }

/** An intent that came to nothing (Git refused the push, or the server died) is forgotten after a day. */
const intentLifeMs = 24 * 3_600_000

export class ProjectsStore {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  /** False where the project was there already. */
  async add(project: Project, actor: string): Promise<boolean> {
    return transact(this.#db, async (tx) => {
      const result = await tx
        .insertInto('projects')
        .values({
          name: project.name,
          branch: project.branch,
          created_at: project.createdAt,
          created_by: actor,
        })
        .onConflict((c) => c.doNothing())
        .executeTakeFirst()
      const added = (result.numInsertedOrUpdatedRows ?? 0n) > 0n
      if (added) await publish(tx, { type: 'project.connected', payload: { project: project.name } }, project.createdAt)
      return added
    })
  }

  async find(name: string): Promise<Project | undefined> {
    const row = await this.#projects().where('projects.name', '=', name).executeTakeFirst()
    return row && toProject(row)
  }

  /** In the order of names; at most `limit` of those that follow `after`. */
  async page(after: string, limit: number): Promise<Project[]> {
    const rows = await this.#projects()
      .where('projects.name', '>', after)
      .orderBy('projects.name')
      .limit(limit)
      .execute()
    return rows.map(toProject)
  }

  async setBranch(name: string, branch: string): Promise<void> {
    await this.#db.updateTable('projects').set({ branch }).where('name', '=', name).execute()
  }

  async head(project: string, branch: string): Promise<RecordedHead | undefined> {
    const row = await this.#db
      .selectFrom('branch_heads')
      .selectAll()
      .where('project', '=', project)
      .where('branch', '=', branch)
      .executeTakeFirst()
    return row && { branch, commit: row.commit_id as CommitId, movedAt: row.moved_at, actor: row.actor }
  }

  async intend(project: string, intents: readonly (PushIntent & { branch: string })[], at: EpochMs): Promise<void> {
    if (intents.length === 0) return
    const rows = intents.map(({ branch, from, to, actor }) => ({
      project,
      branch,
      from_commit: from ?? null,
      to_commit: to,
      actor,
      at,
    }))
    // Durable: after a power loss too, a person's push must not pass for a commit of Modelwright itself.
    await transact(this.#db, (tx) => insertIntents(tx, rows), { durable: true })
  }

  /**
   * Brings the record to where the branches really are and tells each move, in one transaction: a crash either leaves
   * both undone, to be found again, or both done.
   */
  async recordHeads(project: string, real: readonly RealHead[], observer: Observer, now: EpochMs): Promise<void> {
    const recorded = await this.#recordedHeads(this.#db, project)
    if (sameHeads(recorded, real)) return
    await transact(this.#db, async (tx) => {
      const before = await this.#recordedHeads(tx, project)
      for (const { branch, head } of real) {
        const from = before.get(branch)
        before.delete(branch)
        if (from !== head) await this.#recordMoves(tx, { project, branch, from, head, observer, now })
      }
      for (const gone of before.keys())
        await tx.deleteFrom('branch_heads').where('project', '=', project).where('branch', '=', gone).execute()
      await tx
        .deleteFrom('push_intents')
        .where('project', '=', project)
        .where('at', '<', now - intentLifeMs)
        .execute()
    })
  }

  #projects() {
    return this.#db
      .selectFrom('projects')
      .leftJoin('branch_heads', (join) =>
        join.onRef('branch_heads.project', '=', 'projects.name').onRef('branch_heads.branch', '=', 'projects.branch'),
      )
      .select(['projects.name', 'projects.branch', 'projects.created_at', 'branch_heads.commit_id'])
  }

  async #recordMoves(
    tx: Tx,
    branch: {
      project: string
      branch: string
      from: CommitId | undefined
      head: CommitId
      observer: Observer
      now: EpochMs
    },
  ): Promise<void> {
    const { project, now, observer } = branch
    const intents = await this.#intents(tx, project, branch.branch)
    const moves = branchMoves(branch.from, branch.head, intents, observer.actor)
    for (const { from, to, actor, pushed } of moves) {
      const origin = pushed ? 'push' : observer.origin
      await publish(
        tx,
        { type: 'branch.moved', payload: { project, branch: branch.branch, from, to, actor, origin } },
        now,
      )
    }
    const head = { commit_id: branch.head, moved_at: now, actor: moves.at(-1)!.actor }
    await tx
      .insertInto('branch_heads')
      .values({ project, branch: branch.branch, ...head })
      .onConflict((c) => c.columns(['project', 'branch']).doUpdateSet(head))
      .execute()
    await this.#forgetIntents(tx, { project, branch: branch.branch, reached: moves.map((move) => move.to) })
  }

  async #recordedHeads(db: Db | Tx, project: string): Promise<Map<string, CommitId>> {
    const rows = await db
      .selectFrom('branch_heads')
      .select(['branch', 'commit_id'])
      .where('project', '=', project)
      .execute()
    return new Map(rows.map((row) => [row.branch, row.commit_id as CommitId]))
  }

  async #intents(tx: Tx, project: string, branch: string): Promise<PushIntent[]> {
    const rows = await tx
      .selectFrom('push_intents')
      .selectAll()
      .where('project', '=', project)
      .where('branch', '=', branch)
      .orderBy('at', 'desc')
      .limit(500)
      .execute()
    return rows.map((row) => ({
      from: (row.from_commit ?? undefined) as CommitId | undefined,
      to: row.to_commit as CommitId,
      actor: row.actor,
    }))
  }

  async #forgetIntents(tx: Tx, branch: { project: string; branch: string; reached: readonly CommitId[] }) {
    await tx
      .deleteFrom('push_intents')
      .where('project', '=', branch.project)
      .where('branch', '=', branch.branch)
      .where('to_commit', 'in', branch.reached)
      .execute()
  }
}

async function insertIntents(tx: Tx, rows: ProjectsTables['push_intents'][]): Promise<void> {
  await tx
    .insertInto('push_intents')
    .values(rows)
    .onConflict((c) =>
      c.columns(['project', 'branch', 'to_commit']).doUpdateSet((e) => ({
        from_commit: e.ref('excluded.from_commit'),
        actor: e.ref('excluded.actor'),
        at: e.ref('excluded.at'),
      })),
    )
    .execute()
}

const toProject = (row: { name: string; branch: string; created_at: number; commit_id: string | null }): Project => ({
  name: row.name,
  branch: row.branch,
  createdAt: row.created_at,
  ...(row.commit_id ? { head: row.commit_id as CommitId } : {}),
})

const sameHeads = (recorded: ReadonlyMap<string, CommitId>, real: readonly RealHead[]): boolean =>
  recorded.size === real.length && real.every(({ branch, head }) => recorded.get(branch) === head)
