import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import type { StepSecrets } from '../access/index.ts'
import { type DataCheckRequest, givesSecrets } from '../executions/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import type { Reference } from '../monitoring/index.ts'
import type { DataSecret } from '../planning/index.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { ProjectsService } from '../projects/index.ts'
import type { PromotionsService } from '../promotions/index.ts'
import type { VersionConversionsParts } from '../rollouts/index.ts'
import { checkTable, type DataReport, isTable, profileTable, type TableProfile } from '../validation/index.ts'

/** Stops a step whose data does not hold what was declared, naming the offending rows. */
export async function checkData({ context, dataset, path }: DataCheckRequest): Promise<void> {
  const { checks: declared, key } = context.file.data[dataset]!
  // A part of the rows says nothing of how many there are.
  const checks = declared.filter(({ kind }) => context.sample === undefined || kind !== 'rows')
  if (checks.length === 0) return
  const report = await checkTable({ path, checks, ...(key ? { key } : {}) })
  if (report.outcome === 'pass') return
  throw new AppError(
    'DataChecksFailed',
    `data.${dataset} (${context.data[dataset]!.path}, ${report.rows} rows): ${report.failures.map(told).join(' ')}`,
    'Mend the rows, or the checks of the dataset in modelwright.yaml.',
  )
}

function told(failure: DataReport['failures'][number]): string {
  const rows = failure.samples.map(
    ({ line, key, value }) =>
      `line ${line}${key === undefined ? '' : ` (${key})`}: ${value === null ? 'nothing' : JSON.stringify(value)}`,
  )
  return rows.length === 0
    ? failure.problem
    : `${failure.problem} ${rows.join(', ')}${failure.failedRows > rows.length ? ', …' : ''}.`
}

/** The secret that an address asks for, under the same rule as those of steps. */
export const dataSecret =
  (secrets: StepSecrets): DataSecret =>
  async ({ project, dataset, secret, trigger }) => {
    if (givesSecrets({ kind: trigger })) return (await secrets.valuesFor(project, [secret], `data:${dataset}`))[secret]!
    throw new AppError(
      'Forbidden',
      `data.${dataset} asks for a secret (${secret}), which what comes from outside is not given.`,
      'Let somebody who may push here push the commit.',
    )
  }

const profileSeed = 0

/** The profile of a dataset's content, as an object: the reference that drift is measured from. What is no table has none. */
export async function profileOf(
  objects: ObjectStore,
  dataDir: string,
  dataset: { path: string; digest: Digest },
): Promise<Digest | undefined> {
  if (!isTable(dataset.path)) return undefined
  await mkdir(join(dataDir, 'tmp'), { recursive: true })
  const folder = await mkdtemp(join(dataDir, 'tmp', 'profile-'))
  try {
    const file = join(folder, basename(dataset.path))
    await objects.materialise(dataset.digest, file)
    return (await objects.put(JSON.stringify(await profileTable({ path: file, seed: profileSeed })))).digest
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const convertible = ['.csv', '.tsv', '.parquet']
/** A converter has minutes; of larger data it would spend them on reading. */
const mostBytesToConvert = 100_000_000

/** The tables that a version was made of, laid into a folder. What is no table, too large or gone is left out. */
export const dataForConversion =
  (objects: ObjectStore, projects: Pick<ProjectsService, 'fileAt'>): VersionConversionsParts['layOutData'] =>
  async ({ project, commit, data }, folder) => {
    const { file } = await projects.fileAt(project, commit)
    const laidOut: string[] = []
    for (const [name, digest] of Object.entries(data)) {
      const kind = extname(file.data[name]?.path ?? '').toLowerCase()
      const bytes = convertible.includes(kind) ? await objects.sizeIfKept(digest) : undefined
      if (bytes === undefined || bytes > mostBytesToConvert) continue
      const path = join(folder, `data-${laidOut.length}${kind}`)
      await objects.materialise(digest, path)
      laidOut.push(path)
    }
    return laidOut
  }

/** What a version was trained on, from its manifest. */
export async function referenceOf(
  objects: ObjectStore,
  promotions: PromotionsService,
  digest: Digest,
): Promise<Reference | undefined> {
  const manifest = await promotions.manifestOf(digest)
  if (!manifest.profile) return undefined
  const profile = JSON.parse(new TextDecoder().decode(await objects.read(manifest.profile))) as TableProfile
  return { inputs: manifest.columns.map(({ name }) => name), features: profile.columns }
}
