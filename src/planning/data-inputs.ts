import { AppError, bug } from '../kernel/errors.ts'
import { nearestWord } from '../kernel/nearest-word.ts'
import type { Share } from '../kernel/units.ts'
import type { ObjectStore, StoredObject } from '../ports/object-store.ts'
import type { DataSource, ProjectFile } from '../projects/index.ts'
import type { AddressReader } from './address-reader.ts'
import { datasetOf } from './decide/graph.ts'
import type { DataInput, PlanContext, PlanNode } from './plan.ts'
import type { PlanStore } from './plan-store.ts'
import { sampleRows } from './row-sampler.ts'
import type { CommitFiles, SourceReader } from './source-reader.ts'

type Parts = {
  sources: SourceReader
  addresses: Pick<AddressReader, 'glance' | 'fetch'>
  objects: ObjectStore
  store: PlanStore
}

type Asked = Pick<PlanContext, 'project' | 'file' | 'facts' | 'sample'>

/** The datasets that a file declares, as they are at a moment: files of the commit, what lies at addresses, or a part of their rows. */
export class DataInputs {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Those that are known; `awaited` are to be fetched first, each with the reason. */
  async of(asked: Asked, files: CommitFiles): Promise<Pick<PlanContext, 'data' | 'awaited'>> {
    const { project, file, sample } = asked
    const { inputs, awaited } = await this.#atAddresses(asked)
    for (const [dataset, source] of Object.entries(file.data)) {
      if (source.address !== undefined) continue
      await files.load([source.path])
      const found = files.source(source.path)
      if (!found) {
        const near = nearestWord(source.path, files.paths.paths)
        throw new AppError(
          'DependencyMissing',
          `data.${dataset}.path names "${source.path}", but the commit holds no such file.`,
          near ? `Did you mean "${near}"?` : 'Commit it (is it in .gitignore?), or name another file.',
        )
      }
      const { digest, size } = source.plus
        ? await this.#parts.sources.withLabelledRows({ project, dataset, source, base: found })
        : found
      inputs[dataset] = { dataset, path: source.path, digest, size }
    }
    for (const [dataset, input] of Object.entries(inputs))
      inputs[dataset] = await this.#partOf(input, file.data[dataset]!, sample)
    return { data: inputs, ...(Object.keys(awaited).length > 0 ? { awaited } : {}) }
  }

  /** What an awaited dataset is now, once it has been fetched. */
  async fetch(
    { project, file, facts: { trigger }, sample }: Asked,
    node: PlanNode,
    onLine: (line: string) => void,
    signal: AbortSignal,
  ): Promise<DataInput> {
    const dataset = datasetOf(node)
    const source = file.data[dataset]!
    if (!isElsewhere(source)) throw bug(`data.${dataset} was awaited, but lies in the commit`)
    const place = { project, dataset, source, trigger }
    const whole = inputOf(dataset, source, await this.#parts.addresses.fetch(place, onLine, signal))
    return this.#partOf(whole, source, sample)
  }

  /** All at once: a person may wait for the plan. */
  async #atAddresses({ project, file, facts: { trigger } }: Asked) {
    const inputs: Record<string, DataInput> = {}
    const awaited: Record<string, string> = {}
    await Promise.all(
      Object.entries(file.data).map(async ([dataset, source]) => {
        if (!isElsewhere(source)) return
        const seen = await this.#parts.addresses.glance({ project, dataset, source, trigger })
        if ('later' in seen) awaited[dataset] = seen.later
        else inputs[dataset] = inputOf(dataset, source, seen)
      }),
    )
    return { inputs, awaited }
  }

  async #partOf(input: DataInput, { key }: DataSource, share: Share | undefined): Promise<DataInput> {
    return share === undefined ? input : sampleRows(this.#parts, { input, share, key })
  }
}

/** Branches that are tried out look at a part of the rows, where the file says so. */
export function sampleOf(
  { sample, facts }: Pick<PlanContext, 'sample' | 'facts'>,
  file: ProjectFile,
): Pick<PlanContext, 'sample'> {
  const share = sample ?? (facts.branch !== undefined && facts.branch !== file.branch ? file.sample : undefined)
  return share === undefined || share === 1 ? {} : { sample: share }
}

const isElsewhere = (source: DataSource): source is DataSource & { address: string } => source.address !== undefined

const inputOf = (
  dataset: string,
  { path, address }: DataSource & { address: string },
  { digest, size }: StoredObject,
): DataInput => ({ dataset, path, digest, size, address })
