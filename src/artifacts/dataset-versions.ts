import type { Selectable } from 'kysely'
import type { Db, Tx } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { DatasetVersion } from './artifact.ts'

type Row = Selectable<import('../db/tables/artifacts.ts').ArtifactTables['dataset_versions']>

/** The same content of a dataset twice is one version, first seen when it was first seen. */
export async function record(tx: Tx, version: DatasetVersion): Promise<void> {
  await tx
    .insertInto('dataset_versions')
    .values({
      project: version.project,
      dataset: version.dataset,
      digest: version.digest,
      rows: version.rows ?? null,
      origin: JSON.stringify(version.origin),
      created_at: version.createdAt,
    })
    .onConflict((c) => c.columns(['project', 'dataset', 'digest']).doNothing())
    .execute()
}

export async function latest(db: Db, project: string, dataset: string): Promise<DatasetVersion | undefined> {
  const row = await db
    .selectFrom('dataset_versions')
    .selectAll()
    .where('project', '=', project)
    .where('dataset', '=', dataset)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row && versionFrom(row)
}

export async function ofProject(db: Db, project: string): Promise<DatasetVersion[]> {
  const rows = await db
    .selectFrom('dataset_versions')
    .selectAll()
    .where('project', '=', project)
    .orderBy('seq', 'desc')
    .limit(1000)
    .execute()
  return rows.map(versionFrom)
}

const versionFrom = (row: Row): DatasetVersion => ({
  project: row.project,
  dataset: row.dataset,
  digest: row.digest as Digest,
  rows: row.rows ?? undefined,
  origin: JSON.parse(row.origin) as DatasetVersion['origin'],
  createdAt: row.created_at,
})
