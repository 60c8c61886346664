import type { Insertable } from 'kysely'
import type { Db, Tx } from '../db/index.ts'
import type { ArtifactTables } from '../db/tables/artifacts.ts'
import { AppError } from '../kernel/errors.ts'
import { foldersOf } from './decide/tree.ts'

/** `/` + 1: every path below a folder sorts between `folder/` and `folder0`. */
export const afterSlash = '0'

/** Gives content a path; the same path again replaces. */
export async function nameArtifact(tx: Tx, row: Insertable<ArtifactTables['artifact_files']>): Promise<void> {
  const { path: _, ...content } = row
  await tx
    .insertInto('artifact_files')
    .values(row)
    .onConflict((c) => c.column('path').doUpdateSet(content))
    .execute()
}

/** A path is a file or a folder, not both: Conflict. */
export async function refuseClash(db: Db | Tx, path: string): Promise<void> {
  const folders = foldersOf(path)
  const clash = await db
    .selectFrom('artifact_files')
    .select('path')
    .where((e) =>
      e.or([
        ...(folders.length > 0 ? [e('path', 'in', folders)] : []),
        e.and([e('path', '>=', `${path}/`), e('path', '<', path + afterSlash)]),
      ]),
    )
    .limit(1)
    .executeTakeFirst()
  if (clash)
    throw new AppError(
      'Conflict',
      `"${path}" and "${clash.path}" cannot both be kept.`,
      'Choose another artifact path.',
    )
}
