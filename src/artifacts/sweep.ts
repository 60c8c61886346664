import { type Db, transact } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { Clock } from '../ports/clock.ts'
import type { ObjectStore, StoredObject } from '../ports/object-store.ts'
import { referencedDigests } from './referenced-digests.ts'

const together = 500

export type Swept = {
  /** What was freed; in a rehearsal what would be. */
  objects: number
  bytes: number
  /** Unreferenced, but not for long enough yet. */
  waiting: number
}

/**
 * Frees the objects that nothing refers to. An object goes when nothing was found to refer to it for `graceMs`, and it was not put
 * within that time either: what was put a moment ago is about to be referred to, and a reference may be on its way from one place
 * to another. `roots` are texts in which digests stand; artifacts by path are looked up here.
 */
export async function sweepObjects(
  parts: { db: Db; clock: Clock; objects: ObjectStore },
  options: { roots: () => AsyncIterable<string>; graceMs: number; dryRun?: boolean; signal?: AbortSignal },
): Promise<Swept> {
  const swept = { objects: 0, bytes: 0, waiting: 0 }
  const referenced = await referencedDigests(parts.objects, options.roots())
  for await (const batch of inBatches(parts.objects.list())) {
    if (options.signal?.aborted) break
    const free = await unreferenced(parts.db, batch, referenced)
    for (const object of options.dryRun ? free : await markedLongAgo(parts, batch, free, options.graceMs)) {
      if (!options.dryRun && !(await parts.objects.removeIdle(object.digest, options.graceMs))) continue
      if (!options.dryRun) await forget(parts.db, [object.digest])
      swept.objects += 1
      swept.bytes += object.size
    }
    swept.waiting += free.length
  }
  swept.waiting -= swept.objects
  if (!options.dryRun) await discardOrphans(parts, options.graceMs)
  return swept
}

async function unreferenced(
  db: Db,
  batch: readonly StoredObject[],
  referenced: { has(digest: string): boolean },
): Promise<StoredObject[]> {
  const candidates = batch.filter((object) => !referenced.has(object.digest))
  if (candidates.length === 0) return []
  const rows = await db
    .selectFrom('artifact_files')
    .select('digest')
    .distinct()
    .where(
      'digest',
      'in',
      candidates.map((object) => object.digest),
    )
    .execute()
  const named = new Set(rows.map((row) => row.digest))
  return candidates.filter((object) => !named.has(object.digest))
}

/** Notes which objects nothing refers to now, and gives those of which that was so `graceMs` ago. */
async function markedLongAgo(
  { db, clock }: { db: Db; clock: Clock },
  batch: readonly StoredObject[],
  free: readonly StoredObject[],
  graceMs: number,
): Promise<StoredObject[]> {
  const now = clock.now()
  const unmarked = new Set(free.map((object) => object.digest))
  const referencedAgain = batch.map((object) => object.digest).filter((digest) => !unmarked.has(digest))
  return transact(db, async (tx) => {
    if (referencedAgain.length > 0)
      await tx.deleteFrom('unreferenced_objects').where('digest', 'in', referencedAgain).execute()
    if (free.length === 0) return []
    await tx
      .insertInto('unreferenced_objects')
      .values(free.map((object) => ({ digest: object.digest, since: now })))
      .onConflict((c) => c.doNothing())
      .execute()
    const rows = await tx
      .selectFrom('unreferenced_objects')
      .select('digest')
      .where('since', '<=', now - graceMs)
      .where(
        'digest',
        'in',
        free.map((object) => object.digest),
      )
      .execute()
    const due = new Set(rows.map((row) => row.digest))
    return free.filter((object) => due.has(object.digest))
  })
}

async function forget(db: Db, digests: readonly Digest[]): Promise<void> {
  await db.deleteFrom('unreferenced_objects').where('digest', 'in', digests).execute()
}

/** Bytes that came in but that no upload names: their server died in between. */
async function discardOrphans({ db, objects }: { db: Db; objects: ObjectStore }, graceMs: number): Promise<void> {
  for await (const id of objects.listReceived()) {
    const named = await db
      .selectFrom('upload_parts')
      .select('received_id')
      .where('received_id', '=', id)
      .executeTakeFirst()
    if (!named && (await objects.isReceivedIdle(id, graceMs))) await objects.discard(id)
  }
}

async function* inBatches(objects: AsyncIterable<StoredObject>): AsyncGenerator<StoredObject[]> {
  let batch: StoredObject[] = []
  for await (const object of objects) {
    batch.push(object)
    if (batch.length < together) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
