import { realpath } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { ModelVersionRecord } from '../imports/imports-contract.ts'
import { AppError } from '../kernel/errors.ts'
import type { CliContext } from './context.ts'
import { ImportProgress } from './import-progress.ts'
import { eachOf } from './mlflow-sources/each-of.ts'
import { FolderWriter } from './mlflow-sources/folder-writer.ts'
import { openRest } from './mlflow-sources/rest.ts'
import type { Source, SourceRun } from './mlflow-sources/source.ts'

export type ExportOptions = { experiments?: string }

const runsAtOnce = 4

/** `modelwright export mlflow DIR`: what our server holds as an `mlruns/` folder, asked over MLflow's own API. */
export async function exportMlflow(context: CliContext, folder: string, options: ExportOptions): Promise<number> {
  const server = await context.serverUrl()
  const token = await context.token()
  const progress = new ImportProgress(context.io, context.now)
  const source = await openRest(server, {
    env: {},
    ...(token === undefined ? {} : { token }),
    tell: (problem) => progress.problem(problem),
  })
  const root = await realPlace(resolve(context.cwd, folder))
  const writer = await FolderWriter.open(root, server)
  const chosen = options.experiments?.split(',').map((name) => name.trim())
  const moved = new Map<string, string>()
  const experiments: string[] = []
  for await (const record of source.experiments()) {
    if (chosen && !chosen.includes(record.name) && !chosen.includes(record.id)) continue
    await writer.experiment(record)
    experiments.push(record.id)
    progress.add('experiments')
  }
  if (chosen && experiments.length === 0)
    throw new AppError('NotFound', `The server has no experiment ${chosen.join(', ')}.`, 'Name one by name or id.')
  for (const experiment of experiments) {
    for await (const runs of source.runs(experiment))
      await writeRuns(context, source, writer, runs, { progress, moved })
    for await (const model of source.loggedModels(experiment)) {
      const proxied = isProxied(model.artifactUri)
      if (proxied) moved.set(model.artifactUri, writer.artifactsOf(model))
      if (writer.hasLoggedModel(model)) continue
      await writer.loggedModel(model, proxied ? await source.files(model) : undefined)
      progress.add('models')
    }
  }
  if (!chosen) await writeRegistry(source, writer, { progress, moved })
  await writer.close()
  progress.end()
  tellEnd(context, root, progress)
  return progress.problems === 0 ? 0 : 1
}

type Under = { progress: ImportProgress; moved: Map<string, string> }

async function writeRuns(
  context: CliContext,
  source: Source,
  writer: FolderWriter,
  runs: readonly SourceRun[],
  { progress, moved }: Under,
): Promise<void> {
  for (const { record } of runs)
    if (isProxied(record.artifactUri)) moved.set(record.artifactUri, writer.artifactsOf(record))
  const left = runs.filter(({ record }) => !writer.hasRun(record))
  progress.known += runs.length - left.length
  const work = async (listed: SourceRun): Promise<void> => {
    const run = await source.whole(listed)
    const { record } = run
    const files = isProxied(record.artifactUri) ? await source.files(record) : undefined
    await writer.run(record, counted(source.points([run]), progress), files, context.now())
    progress.add('runs')
    progress.add('files', files?.length ?? 0)
    progress.add(
      'bytes',
      (files ?? []).reduce((sum, { size }) => sum + size, 0),
    )
  }
  for await (const _ of eachOf(left, runsAtOnce, work));
}

async function* counted(points: ReturnType<Source['points']>, progress: ImportProgress) {
  for await (const record of points) {
    progress.add('points', record.values.length)
    yield record
  }
}

async function writeRegistry(source: Source, writer: FolderWriter, { progress, moved }: Under): Promise<void> {
  const place = (location: string): string => {
    for (let folder = location; folder.includes('/'); folder = folder.slice(0, folder.lastIndexOf('/'))) {
      const to = moved.get(folder)
      if (to !== undefined) return to + location.slice(folder.length)
    }
    return location
  }
  for await (const model of source.registeredModels()) {
    const versions: ModelVersionRecord[] = []
    for await (const version of source.versions(model.name)) versions.push(version)
    await writer.registeredModel(model, versions, place)
    progress.add('models')
    progress.add('versions', versions.length)
  }
}

function tellEnd({ io }: CliContext, root: string, progress: ImportProgress): void {
  const { counts, known } = progress
  if (io.json) {
    progress.event('exported', { folder: root, ...counts, known })
    return
  }
  io.out(
    `${root} holds ${counts.experiments} experiments, ${counts.runs + known} runs, ${counts.models} models (${counts.versions} versions).\n` +
      `MLflow reads it with MLFLOW_TRACKING_URI=file://${root}; from version 3.17 on also set MLFLOW_ALLOW_FILE_STORE=true.\n`,
  )
}

/** Artifacts in our own store are written into the folder; others stay where they are. */
const isProxied = (uri: string): boolean => /^mlflow-artifacts:\/(?!\/\w)/.test(uri)

/** URIs are written into the folder, so that it is named as it will be found. */
async function realPlace(path: string): Promise<string> {
  const parent = await realpath(dirname(path)).catch(() => dirname(path))
  return join(parent, basename(path))
}
