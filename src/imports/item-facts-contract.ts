import { canonicalJson, digestOf, shortDigest } from '../kernel/digest.ts'
import type {
  ExperimentRecord,
  Facts,
  LoggedModelRecord,
  MetricValue,
  ModelVersionRecord,
  RegisteredModelRecord,
  RunRecord,
} from './imports-contract.ts'

type Pair = { key: string; value: string }
export type LatestMetric = { key: string; value: MetricValue | number; timestamp: number; step: number }
export type ArtifactSize = { path: string; size: number }

/**
 * What is said of an item in a few words that can be compared: both sides make it from their own records with these same functions.
 * Numbers are sums that can be added over items; `3 · 1a2b…` is a count and a digest of content, whatever its order.
 */
export function runFacts(
  run: Omit<RunRecord, 'kind' | 'experiment' | 'deletedAt' | 'artifactUri'>,
  more: { latest: readonly LatestMetric[]; points: number; artifacts: readonly ArtifactSize[] | undefined },
): Facts {
  const { name, status, user, startedAt, endedAt, lifecycle } = run
  return {
    info: digestText({ name, status, user, startedAt, endedAt: endedAt ?? null, lifecycle }),
    params: pairsText(run.params),
    tags: pairsText(run.tags),
    metrics: latestText(more.latest),
    points: more.points,
    inputs: listText([
      ...run.datasets.map(({ tags, ...dataset }) => ({ ...dataset, tags: sorted(tags) })),
      ...run.modelInputs.map((model) => ({ model })),
    ]),
    outputs: listText(run.modelOutputs),
    ...artifactFacts(more.artifacts),
  }
}

export function loggedModelFacts(
  model: Omit<LoggedModelRecord, 'kind' | 'experiment' | 'artifactUri'>,
  artifacts: readonly ArtifactSize[] | undefined,
): Facts {
  const { name, status, modelType, run, createdAt, lifecycle } = model
  return {
    info: digestText({ name, status, modelType: modelType ?? '', run: run ?? '', createdAt, lifecycle }),
    params: pairsText(model.params),
    tags: pairsText(model.tags),
    metrics: listText(model.metrics.map((metric) => ({ ...metric, value: comparable(metric.value) }))),
    ...artifactFacts(artifacts),
  }
}

/** Of one that was joined only the tags that came are compared: its name and times are its own. */
export const experimentFacts = ({ tags, lifecycle }: Pick<ExperimentRecord, 'tags' | 'lifecycle'>): Facts => ({
  lifecycle,
  tags: pairsText(tags),
})

export const registeredModelFacts = ({
  description,
  createdAt,
  tags,
}: Pick<RegisteredModelRecord, 'description' | 'createdAt' | 'tags'>): Facts => ({
  info: digestText({ description: description ?? '', createdAt }),
  tags: pairsText(tags),
})

export const modelVersionFacts = (
  version: Pick<
    ModelVersionRecord,
    'createdAt' | 'description' | 'stage' | 'run' | 'status' | 'loggedModel' | 'tags' | 'aliases'
  >,
): Facts => {
  const { createdAt, description, stage, run, status, loggedModel } = version
  return {
    info: digestText({
      createdAt,
      description: description ?? '',
      stage,
      run: run ?? '',
      status,
      loggedModel: loggedModel ?? '',
    }),
    tags: pairsText(version.tags),
    aliases: [...version.aliases].sort().join(' ') || '–',
  }
}

function artifactFacts(artifacts: readonly ArtifactSize[] | undefined): Facts {
  if (!artifacts) return {}
  return {
    files: artifacts.length,
    bytes: artifacts.reduce((sum, { size }) => sum + size, 0),
    artifacts: listText(artifacts.map(({ path, size }) => ({ path, size }))),
  }
}

const pairsText = (pairs: readonly Pair[]): string => textOf(pairs.length, sorted(pairs))

const latestText = (metrics: readonly LatestMetric[]): string =>
  listText(metrics.map(({ key, value, timestamp, step }) => ({ key, value: comparable(value), timestamp, step })))

const listText = (items: readonly object[]): string => textOf(items.length, items.map(canonicalJson).sort())

const textOf = (count: number, content: unknown): string => (count === 0 ? '0' : `${count} · ${digestText(content)}`)

const digestText = (content: unknown): string => shortDigest(digestOf(canonicalJson(content)))

const sorted = (pairs: readonly Pair[]): [string, string][] =>
  pairs.map(({ key, value }): [string, string] => [key, value]).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))

/** A database column holds no infinity: MLflow's and ours keep the largest double of its sign. */
function comparable(value: MetricValue | number): string {
  if (value === 'Infinity' || value === Number.POSITIVE_INFINITY) return String(Number.MAX_VALUE)
  if (value === '-Infinity' || value === Number.NEGATIVE_INFINITY) return String(-Number.MAX_VALUE)
  return String(value === 0 ? 0 : value)
}
