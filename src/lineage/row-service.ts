import { extname } from 'node:path'
import { parse } from 'csv-parse'
import type { ArtifactService, DatasetVersion } from '../artifacts/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError, isAppError, messageOf } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { hashShare } from '../math/hash-share.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { DataSource, ProjectsService } from '../projects/index.ts'
import { contentFrom } from './decide/describe-content.ts'
import { lineageGraph, thingId, walk } from './decide/lineage-graph.ts'
import type { findRow } from './lineage-contract.ts'
import type { LineageViews } from './lineage-views.ts'

type Parts = {
  objects: Pick<ObjectStore, 'open' | 'has'>
  artifacts: Pick<ArtifactService, 'datasetVersions'>
  projects: Pick<ProjectsService, 'desiredHead' | 'fileAt'>
  lineage: LineageViews
}

type Found = OutputOf<typeof findRow>

const everything = { direction: 'down', depth: Number.MAX_SAFE_INTEGER } as const

/** Which versions of a dataset hold a row, and which models came of them. */
export class RowService {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async find(project: string, dataset: string, key: string): Promise<Found> {
    const source = await this.#sourceOf(project, dataset)
    const versions = (await this.#parts.artifacts.datasetVersions(project)).filter((one) => one.dataset === dataset)
    const { facts } = await this.#parts.lineage.factsOf(project)
    const graph = lineageGraph(facts)
    const found: Found['versions'] = []
    const unread: Found['unread'] = []
    for (const version of versions) {
      const seen = await this.#look(version, source, key)
      if ('reason' in seen) unread.push({ digest: version.digest, reason: seen.reason })
      if (!('row' in seen) || seen.row === undefined) continue
      const reached = walk(graph, [thingId.data(dataset, version.digest)], everything).things
      const { text, origin } = contentFrom(version.digest, version, source.path)
      found.push({
        ...{ digest: version.digest, row: seen.row, text, origin, firstSeenAt: version.createdAt },
        models: reached
          .filter(({ kind }) => kind === 'version')
          .map(({ name, ref }) => ({
            ...{ name, digest: ref },
            serves: facts.served.filter(({ digest }) => digest === ref).map(({ environment }) => environment),
          })),
      })
    }
    const models = [...new Map(found.flatMap((one) => one.models).map((one) => [one.digest, one])).values()]
    const share = hashShare(key)
    return {
      project,
      dataset,
      keyColumn: source.key!,
      key,
      share,
      looked: versions.length,
      versions: found,
      models,
      unread,
    }
  }

  async #sourceOf(project: string, dataset: string): Promise<DataSource> {
    const head = await this.#parts.projects.desiredHead(project)
    const file = head && (await this.#parts.projects.fileAt(project, head)).file
    const source = file?.data[dataset]
    if (!source)
      throw new AppError(
        'NotFound',
        `${project} declares no dataset "${dataset}"${file ? `; there are: ${Object.keys(file.data).join(', ') || 'none'}` : ''}.`,
        'Name one of data: in modelwright.yaml.',
      )
    if (source.key) return source
    throw new AppError(
      'Conflict',
      `data.${dataset} declares no key, so its rows cannot be told apart.`,
      'Write key: COLUMN for it in modelwright.yaml.',
    )
  }

  /** The number of the row, counted from 1 below the header; undefined where it is not among them. */
  async #look(
    { digest }: Pick<DatasetVersion, 'digest'>,
    { path, key: column }: DataSource,
    key: string,
  ): Promise<{ row: number | undefined } | { reason: string }> {
    const delimiter = { '.csv': ',', '.tsv': '\t' }[extname(path).toLowerCase()]
    if (delimiter === undefined)
      return { reason: `rows are looked for in .csv and .tsv files, not in ${extname(path)}` }
    if (!(await this.#parts.objects.has(digest))) return { reason: 'its content is not kept any more' }
    try {
      return await this.#rowIn(digest, delimiter, column!, key)
    } catch (error) {
      if (isAppError(error) && error.culprit === 'ours') throw error
      return { reason: messageOf(error) }
    }
  }

  async #rowIn(digest: Digest, delimiter: string, column: string, key: string) {
    const bytes = await this.#parts.objects.open(digest)
    const records = bytes.pipe(parse({ delimiter, bom: true, relax_column_count: true, skip_empty_lines: true }))
    bytes.on('error', (error) => records.destroy(error))
    let index = -1
    let row = 0
    try {
      for await (const cells of records as AsyncIterable<string[]>) {
        if (row === 0) index = cells.indexOf(column)
        if (index < 0) return { reason: `it has no column "${column}"` }
        if (row > 0 && cells[index] === key) return { row }
        row++
      }
      return { row: undefined }
    } finally {
      bytes.destroy()
    }
  }
}
