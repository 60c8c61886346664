import { listArtifacts } from '../artifact-views.ts'
import { getExperiment, searchDatasets } from '../experiments.ts'
import { type AskedInterval, sampledMetrics } from '../metrics.ts'
import { MlflowError } from '../mlflow-error.ts'
import { type AskedVersions, searchModelVersions } from '../model-versions.ts'
import { type AskedRuns, getRun, searchRuns } from '../runs.ts'
import type { runWire } from '../wire.ts'
import type { RequestScope } from './request-scope.ts'
import { wireName } from './wire-fields.ts'

type Resolver = (args: Record<string, unknown>, scope: RequestScope, source: unknown) => unknown

/** The fields that are asked of a service: by the same functions as their REST twins, after the same look at who may. */
const resolvers: Record<string, Record<string, Resolver>> = {
  Query: {
    mlflowGetExperiment: async (args, { parts, access, actor }) => {
      const { experiment_id = '' } = messageOf<{ experiment_id: string }>(args)
      await access.toExperiment(actor, experiment_id, 'read')
      return getExperiment(parts, { experiment_id })
    },
    mlflowGetRun: async (args, { parts, access, actor }) => {
      const run_id = runIdOf(messageOf(args))
      await access.toRun(actor, run_id, 'read')
      return getRun(parts, { run_id })
    },
    mlflowListArtifacts: async (args, { parts, access, actor }) => {
      const asked = messageOf<RunNames & { path: string }>(args)
      const run_id = runIdOf(asked)
      await access.toRun(actor, run_id, 'read')
      return listArtifacts(parts, { run_id, ...(asked.path === undefined ? {} : { path: asked.path }) })
    },
    mlflowGetMetricHistoryBulkInterval: async (args, { parts, access, actor }) => {
      const { run_ids = [], metric_key = '', ...rest } = messageOf<AskedInterval>(args)
      for (const runId of run_ids) await access.toRun(actor, runId, 'read')
      return sampledMetrics(parts, { ...rest, run_ids, metric_key })
    },
    mlflowSearchModelVersions: async (args, { parts, access, actor }) => {
      const search = messageOf<AskedVersions>(args)
      return searchModelVersions(parts, search, await access.visibleModels(actor))
    },
    mlflowSearchRuns: (args, scope) => searchReadableRuns(args, scope),
    test: ({ inputString }) => ({ output: inputString }),
  },
  Mutation: {
    mlflowSearchDatasets: async (args, { parts, access, actor }) => {
      const { experiment_ids = [] } = messageOf<{ experiment_ids: string[] }>(args)
      return searchDatasets(parts, { experiment_ids: await access.readable(actor, experiment_ids) })
    },
    mlflowSearchRuns: (args, scope) => searchReadableRuns(args, scope),
    testMutation: ({ inputString }) => ({ output: inputString }),
  },
  MlflowRunExtension: {
    experiment: (_, scope, run) => scope.experiment((run as RunWire).info.experiment_id),
    modelVersions: (_, scope, run) => scope.versionsOf((run as RunWire).info.run_id),
  },
}

export const resolverOf = (type: string, field: string): Resolver | undefined =>
  Object.hasOwn(resolvers, type) && Object.hasOwn(resolvers[type]!, field) ? resolvers[type]![field] : undefined

type RunWire = ReturnType<typeof runWire>
type RunNames = { run_id: string; run_uuid: string }

async function searchReadableRuns(args: Record<string, unknown>, { parts, access, actor }: RequestScope) {
  const search = messageOf<AskedRuns>(args)
  return searchRuns(parts, { ...search, experiment_ids: await access.readable(actor, search.experiment_ids ?? []) })
}

const runIdOf = ({ run_id, run_uuid }: Partial<RunNames>): string => run_id || run_uuid || ''

/** The input as the message that REST would have read: its names, null as absent. Types were the schema's to check. */
function messageOf<T extends object>({ input }: Record<string, unknown>): Partial<T> {
  const message: Record<string, unknown> = {}
  for (const [field, value] of Object.entries((input ?? {}) as Record<string, unknown>)) {
    if (value === null) continue
    const name = wireName(field)
    for (const item of Array.isArray(value) ? (value as unknown[]) : [value]) refuseItem(item, name)
    message[name] = value
  }
  return message as Partial<T>
}

function refuseItem(item: unknown, name: string): void {
  if (item === null)
    throw new MlflowError(
      'INVALID_PARAMETER_VALUE',
      `Failed to parse ${name} field: null is not allowed as an element of a list.`,
    )
  // PostgreSQL's texts cannot hold it, so none here does.
  if (typeof item === 'string' && item.includes('\0'))
    throw new MlflowError(
      'INVALID_PARAMETER_VALUE',
      name === 'path' ? 'Invalid path' : `The text of '${name}' cannot hold the character U+0000.`,
    )
}
