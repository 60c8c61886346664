import type { ItemKind } from '../imports/imports-contract.ts'
import { beginImport, itemKinds, takeBatch, whatIsLeft } from '../imports/imports-contract.ts'
import type { Client } from '../kernel/client.ts'
import { AppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { ArtifactDoor } from './artifact-door.ts'
import type { CliContext } from './context.ts'
import { compareWithSource, tellComparison } from './import-comparison.ts'
import { ImportProgress } from './import-progress.ts'
import { type Batch, importStream, type WholeItem } from './import-stream.ts'
import { ahead } from './mlflow-sources/each-of.ts'
import { openSource } from './mlflow-sources/open-source.ts'
import type { Source } from './mlflow-sources/source.ts'

export type ImportOptions = {
  artifacts: string
  artifactsRoot?: string
  experiments?: string
  restart?: boolean
  dryRun?: boolean
}

type Import = OutputOf<typeof beginImport>

const filesAtOnce = 6

/** `modelwright import mlflow URI`: reads there, writes here, compares. 1 where something was refused or differs. */
export async function importMlflow(context: CliContext, uri: string, options: ImportOptions): Promise<number> {
  const progress = new ImportProgress(context.io, context.now)
  const source = await openSource(uri, {
    cwd: context.cwd,
    env: context.env,
    ...(options.artifactsRoot === undefined ? {} : { artifactsRoot: options.artifactsRoot }),
    tell: (problem) => progress.problem(problem),
  })
  try {
    if (options.dryRun) return await dryRun(context, source, options)
    return await bringIn(context, source, options, progress)
  } finally {
    await source.close()
  }
}

async function bringIn(
  context: CliContext,
  source: Source,
  options: ImportOptions,
  progress: ImportProgress,
): Promise<number> {
  const client = await context.client()
  const artifacts = artifactsMode(options.artifacts)
  const begun = await client(beginImport, {
    body: { source: source.uri, artifacts, restart: options.restart ?? false },
  })
  tellBegin(progress, source, begun)
  const door = new ArtifactDoor(await context.serverUrl(), await context.token())
  const carrier = new Carrier({ client, importId: begun.id, door, progress, restart: options.restart ?? false })
  const experiments = selection(options.experiments)
  const seen = new Map<ItemKind, string[]>(itemKinds.map((kind) => [kind, []]))
  const staying = new Map<string, number>()
  const stream = importStream(source, {
    artifacts,
    ...(experiments ? { experiments } : {}),
    seen: (kind, id) => seen.get(kind)!.push(id),
    left: async (kind, ids) => {
      const { ids: left } = await client(whatIsLeft, { params: { id: begun.id }, body: { kind, ids: [...ids] } })
      if (kind === 'run') progress.known += ids.length - left.length
      return left
    },
    stays: (artifactUri) => {
      const place = artifactUri.split('/').slice(0, 3).join('/')
      staying.set(place, (staying.get(place) ?? 0) + 1)
    },
  })
  for await (const batch of ahead(stream)) await carrier.carry(batch)
  await carrier.finish()
  progress.end()
  for (const [place, count] of staying)
    progress.note(`Artifacts of ${count} runs or models at ${place}… cannot be reached from here and stay there.`)
  if (experiments) refuseUnknown(experiments, seen.get('experiment')!.length)
  const comparison = await compareWithSource(client, begun.id, seen)
  tellComparison(context.io, progress, comparison)
  return comparison.differences.length === 0 && carrier.refused === 0 ? 0 : 1
}

/** Brings batches to the server: first what is said, then the files of it, then that it is whole. */
class Carrier {
  refused = 0
  readonly #client: Client
  readonly #importId: string
  readonly #door: ArtifactDoor
  readonly #progress: ImportProgress
  readonly #restart: boolean
  /** Where artifacts are to lie here, until their item is whole. */
  readonly #folders = new Map<string, string>()
  readonly #taken = new Set<string>()
  #done: Omit<WholeItem, 'files'>[] = []

  constructor(parts: {
    client: Client
    importId: string
    door: ArtifactDoor
    progress: ImportProgress
    restart: boolean
  }) {
    this.#client = parts.client
    this.#importId = parts.importId
    this.#door = parts.door
    this.#progress = parts.progress
    this.#restart = parts.restart
  }

  async carry({ records, whole }: Batch): Promise<void> {
    const taken = await this.#send(records, false)
    for (const { kind, id, artifactUri, joined, target } of taken.placed) {
      this.#taken.add(`${kind} ${id}`)
      if (artifactUri !== undefined) this.#folders.set(`${kind} ${id}`, artifactUri)
      if (joined && target !== id) this.#progress.event('joined', { kind, id, target })
    }
    this.#count(records, taken.refused)
    const kept = whole.filter(({ kind, id }) => this.#taken.delete(`${kind} ${id}`))
    await this.#copy(kept)
    this.#done = kept.map(({ kind, id, facts }) => ({ kind, id, facts }))
  }

  async finish(): Promise<void> {
    await this.#send([], true)
  }

  async #send(records: Batch['records'], finished: boolean) {
    const taken = await this.#client(takeBatch, {
      params: { id: this.#importId },
      body: { records, done: this.#done, finished },
    })
    this.#done = []
    return taken
  }

  #count(records: Batch['records'], refused: OutputOf<typeof takeBatch>['refused']): void {
    const outside = new Set(refused.map(({ index }) => index))
    for (const [index, record] of records.entries()) {
      if (outside.has(index)) continue
      if (record.kind === 'points') this.#progress.add('points', record.values.length)
      else this.#progress.add(countedAs[record.kind])
    }
    for (const { kind, name, reason, next } of refused) {
      this.refused++
      this.#progress.refused(`${kind} ${name}`, reason, next)
    }
  }

  /** A file that an attempt before brought whole is not sent again: a kill loses only what was under way. */
  async #copy(items: readonly WholeItem[]): Promise<void> {
    const jobs = items.flatMap(({ kind, id, files }) => {
      const folder = this.#folders.get(`${kind} ${id}`)
      this.#folders.delete(`${kind} ${id}`)
      return folder === undefined ? [] : files.map((file) => ({ folder, file }))
    })
    await together(jobs, filesAtOnce, async ({ folder, file }) => {
      const sent = await this.#door.bring(folder, file, { evenIfThere: this.#restart })
      this.#progress.add('files')
      this.#progress.add('bytes', sent)
    })
  }
}

const countedAs = {
  experiment: 'experiments',
  run: 'runs',
  'logged-model': 'models',
  'registered-model': 'models',
  'model-version': 'versions',
} as const

async function together<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) await work(items[next++]!)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker))
}

/** What a source holds, without a server of ours. */
async function dryRun(context: CliContext, source: Source, options: ImportOptions): Promise<number> {
  const { io } = context
  const chosen = selection(options.experiments)
  const counts = { experiments: 0, runs: 0, loggedModels: 0, registeredModels: 0, versions: 0 }
  const ids: string[] = []
  for await (const { id, name } of source.experiments()) if (!chosen || chosen.has(id) || chosen.has(name)) ids.push(id)
  counts.experiments = ids.length
  for (const id of ids) {
    for await (const runs of source.runs(id)) counts.runs += runs.length
    for await (const _ of source.loggedModels(id)) counts.loggedModels++
  }
  if (!chosen)
    for await (const { name } of source.registeredModels()) {
      counts.registeredModels++
      for await (const _ of source.versions(name)) counts.versions++
    }
  if (chosen) refuseUnknown(chosen, counts.experiments)
  if (io.json) io.out(`${JSON.stringify({ event: 'counted', source: source.uri, ...counts })}\n`)
  else
    io.out(
      `${source.title} holds ${counts.experiments} experiments, ${counts.runs} runs, ${counts.loggedModels} logged models, ` +
        `${counts.registeredModels} registered models with ${counts.versions} versions. Nothing was brought in.\n`,
    )
  return 0
}

function tellBegin(progress: ImportProgress, source: Source, begun: Import): void {
  const done = begun.done.run ?? 0
  progress.event('begun', { source: source.uri, import: begun.id, done: begun.done })
  progress.note(
    done > 0 ? `Going on with ${source.title}: ${done} runs are here already.` : `Bringing in ${source.title}.`,
  )
}

function selection(given: string | undefined): Set<string> | undefined {
  if (given === undefined) return undefined
  return new Set(
    given
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean),
  )
}

function refuseUnknown(chosen: ReadonlySet<string>, found: number): void {
  if (found > 0) return
  throw new AppError(
    'NotFound',
    `The source has no experiment ${[...chosen].map((name) => `"${name}"`).join(', ')}.`,
    'Name experiments by name or id, separated by commas.',
  )
}

function artifactsMode(text: string): 'copy' | 'reference' {
  if (text === 'copy' || text === 'reference') return text
  throw new AppError('BadRequest', `--artifacts is "${text}".`, 'Write --artifacts copy or --artifacts reference.')
}
