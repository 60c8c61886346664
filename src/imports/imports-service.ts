import { appendAudit } from '../access/index.ts'
import type { ArtifactService } from '../artifacts/index.ts'
import { type Db, type Tx, transact } from '../db/index.ts'
import { AppError } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { Actor, OutputOf } from '../kernel/route.ts'
import type { Clock } from '../ports/clock.ts'
import type { TrackingService } from '../tracking/index.ts'
import { factsHere } from './facts-here.ts'
import { importStore } from './import-store.ts'
import type { Import } from './imports.ts'
import type { compareItems, Facts, ImportRecord, ItemKind, takeBatch } from './imports-contract.ts'
import { takeRecords } from './take-records.ts'

const listed = 1000

type Shown = Import & { done: Partial<Record<ItemKind, number>> }
type Batch = {
  records: readonly ImportRecord[]
  done: readonly { kind: ItemKind; id: string; facts: Facts }[]
  finished: boolean
}

export class ImportsService {
  readonly #db: Db
  readonly #clock: Clock
  readonly #artifacts: ArtifactService
  readonly #tracking: Pick<TrackingService, 'settleMetrics'>

  constructor(parts: {
    db: Db
    clock: Clock
    artifacts: ArtifactService
    tracking: Pick<TrackingService, 'settleMetrics'>
  }) {
    this.#db = parts.db
    this.#clock = parts.clock
    this.#artifacts = parts.artifacts
    this.#tracking = parts.tracking
  }

  /** A source is imported once: a second call carries on what there is. Restarted, everything is looked at anew; nothing goes. */
  begin(wanted: Pick<Import, 'source' | 'artifacts'> & { restart: boolean }, actor: Actor): Promise<Shown> {
    const now = this.#clock.now()
    return transact(
      this.#db,
      async (tx) => {
        const known = await importStore.ofSource(tx, wanted.source)
        if (known && known.artifacts !== wanted.artifacts && !wanted.restart) throw otherwiseBegun(known)
        if (known) {
          if (wanted.restart) await importStore.forgetFacts(tx, known.id)
          await importStore.setArtifacts(tx, known.id, wanted.artifacts)
          await importStore.touch(tx, known.id, 'running', now)
        } else {
          const { source, artifacts } = wanted
          const one: Import = {
            id: newId(now),
            source,
            artifacts,
            state: 'running',
            actor: actor.name,
            startedAt: now,
            updatedAt: now,
          }
          await importStore.add(tx, one)
          await tellAudit(tx, one, 'imports.begin', actor, now)
        }
        return shown(tx, (await importStore.ofSource(tx, wanted.source))!)
      },
      { durable: true },
    )
  }

  async list(): Promise<Shown[]> {
    const imports: Shown[] = []
    for (const one of await importStore.newest(this.#db, listed)) imports.push(await shown(this.#db, one))
    return imports
  }

  /** Of these ids those that are not whole here yet. */
  async left(id: string, kind: ItemKind, ids: readonly string[]): Promise<string[]> {
    await this.#import(this.#db, id)
    const items = await importStore.items(this.#db, id, kind, ids)
    return ids.filter((one) => items.get(one)?.facts === undefined)
  }

  /** Records, what was told of whole items, and where the import stands: all of it or nothing. */
  take(id: string, batch: Batch, actor: Actor): Promise<OutputOf<typeof takeBatch>> {
    const now = this.#clock.now()
    return transact(this.#db, async (tx) => {
      const one = await this.#import(tx, id)
      const taken = await takeRecords(tx, one, batch.records)
      for (const item of batch.done) await importStore.setFacts(tx, id, item)
      await importStore.touch(tx, id, batch.finished ? 'finished' : 'running', now)
      if (batch.finished) await tellAudit(tx, one, 'imports.finish', actor, now)
      return taken
    })
  }

  /** What was purged came by no import: imported again, it comes anew. Gives how many items were forgotten, at most `limit`. */
  forget(kind: ItemKind, ids: readonly string[], limit: number): Promise<number> {
    return transact(this.#db, (tx) => importStore.forget(tx, kind, ids, limit))
  }

  async compare(id: string, kind: ItemKind, ids: readonly string[]): Promise<OutputOf<typeof compareItems>> {
    await this.#import(this.#db, id)
    const items = await importStore.items(this.#db, id, kind, ids)
    if (kind === 'run') await this.#tracking.settleMetrics()
    const ours = await factsHere({ db: this.#db, artifacts: this.#artifacts }, kind, [...items.values()])
    const sums = { source: {} as Record<string, number>, ours: {} as Record<string, number> }
    const differences: OutputOf<typeof compareItems>['differences'] = []
    let here = 0
    for (const one of ids) {
      const item = items.get(one)
      const there = item?.facts
      const own = ours.get(one)
      if (there) add(sums.source, there)
      if (own) add(sums.ours, own)
      if (own) here++
      if (!own || !there)
        differences.push({ id: one, what: 'all', source: 'there', ours: own ? 'not whole' : 'not here' })
      else if (!item.joined) differences.push(...differing(one, there, own))
    }
    return { here, ...sums, differences }
  }

  async #import(db: Db, id: string): Promise<Import> {
    const one = await importStore.byId(db, id)
    if (one) return one
    throw new AppError('NotFound', `There is no import ${id}.`, 'Begin one with `modelwright import mlflow URI`.')
  }
}

const shown = async (db: Db, one: Import): Promise<Shown> => ({
  ...one,
  done: await importStore.doneByKind(db, one.id),
})

function tellAudit(tx: Tx, one: Import, action: string, actor: Actor, at: number): Promise<void> {
  return appendAudit(tx, { at, actor: actor.name, action, subject: one.source, details: { import: one.id } })
}

function add(sums: Record<string, number>, facts: Facts): void {
  for (const [name, value] of Object.entries(facts))
    if (typeof value === 'number') sums[name] = (sums[name] ?? 0) + value
}

function differing(id: string, source: Facts, ours: Facts) {
  const names = [...new Set([...Object.keys(source), ...Object.keys(ours)])]
  return names
    .filter((what) => source[what] !== ours[what])
    .map((what) => ({ id, what, source: String(source[what] ?? '–'), ours: String(ours[what] ?? '–') }))
}

const otherwiseBegun = ({ source, artifacts }: Import): AppError =>
  new AppError(
    'Conflict',
    `The import of ${source} was begun with --artifacts ${artifacts}.`,
    `Go on with --artifacts ${artifacts}, or add --restart.`,
  )
