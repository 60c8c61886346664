import type { ArtifactService } from '../artifacts/index.ts'
import type { Db } from '../db/index.ts'
import { importedVersions } from '../registry/index.ts'
import { artifactFolderOf, importedRuns, type KeyValue } from '../tracking/index.ts'
import type { ImportItem } from './imports.ts'
import type { Facts, ItemKind } from './imports-contract.ts'
import {
  experimentFacts,
  loggedModelFacts,
  modelVersionFacts,
  registeredModelFacts,
  runFacts,
} from './item-facts-contract.ts'

type Parts = { db: Db; artifacts: ArtifactService }

/** What our own tables say of these items, by the source's id; what is not here is left out. */
export async function factsHere(
  parts: Parts,
  kind: ItemKind,
  items: readonly ImportItem[],
): Promise<Map<string, Facts>> {
  const byTarget = new Map(items.map((item) => [item.targetId, item]))
  const found = await readers[kind](parts, byTarget)
  return new Map(
    [...byTarget].flatMap(([target, item]) => (found.has(target) ? [[item.sourceId, found.get(target)!]] : [])),
  )
}

type Reader = (parts: Parts, items: ReadonlyMap<string, ImportItem>) => Promise<Map<string, Facts>>

const readers: Record<ItemKind, Reader> = {
  experiment: async ({ db }, items) => {
    const experiments = await importedRuns.experiments(db, [...items.keys()])
    return new Map(
      experiments.map(({ experimentId, lifecycle, tags }) => [
        experimentId,
        experimentFacts({ lifecycle, tags: pairsOf(tags) }),
      ]),
    )
  },

  run: async (parts, items) => {
    const found = new Map<string, Facts>()
    for (const run of await importedRuns.runs(parts.db, [...items.keys()]))
      found.set(
        run.runId,
        runFacts(
          {
            ...run,
            id: run.runId,
            user: run.userId,
            artifacts: 'copied',
            params: pairsOf(run.params),
            tags: pairsOf(run.tags),
            datasets: run.datasetInputs.map(({ dataset, tags }) => ({ ...dataset, tags: pairsOf(tags) })),
            modelOutputs: run.modelOutputs.map(({ modelId, step }) => ({ model: modelId, step })),
          },
          { latest: run.metrics, points: run.points, artifacts: await filesOf(parts, items.get(run.runId)) },
        ),
      )
    return found
  },

  'logged-model': async (parts, items) => {
    const found = new Map<string, Facts>()
    for (const model of await importedRuns.loggedModels(parts.db, [...items.keys()]))
      found.set(
        model.modelId,
        loggedModelFacts(
          {
            ...model,
            id: model.modelId,
            run: model.sourceRunId,
            artifacts: 'copied',
            params: pairsOf(model.params),
            tags: pairsOf(model.tags),
            metrics: model.metrics.map(({ runId, value, ...metric }) => ({
              ...metric,
              run: runId,
              value: Number.isNaN(value) ? 'NaN' : value,
            })),
          },
          await filesOf(parts, items.get(model.modelId)),
        ),
      )
    return found
  },

  'registered-model': async ({ db }, items) => {
    const found = new Map<string, Facts>()
    for (const name of items.keys()) {
      const model = await importedVersions.findModel(db, name)
      if (model) found.set(name, registeredModelFacts({ ...model, tags: pairsOf(model.tags) }))
    }
    return found
  },

  'model-version': async ({ db }, items) => {
    const found = new Map<string, Facts>()
    for (const id of items.keys()) {
      const slash = id.lastIndexOf('/')
      const version = await importedVersions.findVersion(db, id.slice(0, slash), Number(id.slice(slash + 1)))
      if (version)
        found.set(
          id,
          modelVersionFacts({
            ...version,
            run: version.runId,
            loggedModel: version.loggedModelId,
            tags: pairsOf(version.tags),
          }),
        )
    }
    return found
  },
}

/** Undefined where nothing was to be copied: then neither side counts. */
async function filesOf({ artifacts }: Parts, item: ImportItem | undefined) {
  const folder = item?.targetUri === undefined ? undefined : artifactFolderOf(item.targetUri)
  return folder === undefined ? undefined : (await artifacts.files.treeUnder(folder)).files
}

const pairsOf = (record: Record<string, string>): KeyValue[] =>
  Object.entries(record).map(([key, value]) => ({ key, value }))
