import { AppError } from '../kernel/errors.ts'
import type { LabelsService } from '../labels/index.ts'
import type { WatchedDeployment } from '../monitoring/index.ts'
import { lockedPackages, type Planner } from '../planning/index.ts'
import type { Environments } from '../ports/environments.ts'
import type { ProjectsService } from '../projects/index.ts'
import type { ObserveTraffic, PreparationParts, RolloutsStore, VersionConversionsParts } from '../rollouts/index.ts'
import {
  converterRequirements,
  decodePredictionId,
  type GatewayObserved,
  type PredictionLog,
} from '../serving/index.ts'

/** Asks the gateway; undefined where it does not answer. */
export const gatewayObserver =
  (gatewayUrl: () => string, token: () => string) => async (): Promise<GatewayObserved | undefined> => {
    const response = await fetch(`${gatewayUrl()}/status`, {
      headers: { authorization: `Bearer ${token()}` },
      signal: AbortSignal.timeout(3_000),
    }).catch(() => undefined)
    return response?.ok ? ((await response.json()) as GatewayObserved) : undefined
  }

/** What the prediction log counts, freshly taken in: a rollout is decided from it. */
export const trafficObserver =
  (predictions: PredictionLog): ObserveTraffic =>
  async ({ project, environment, digest, since }) => {
    await predictions.ingest()
    return predictions.observationsSince(project, environment, digest, since)
  }

/** Environments that serve something, with what Git says about watching them. */
export const watchedDeployments =
  (projects: ProjectsService, store: RolloutsStore) => async (): Promise<WatchedDeployment[]> => {
    const watched: WatchedDeployment[] = []
    for await (const project of projects.names()) {
      const head = await projects.desiredHead(project)
      const at = head && (await projects.fileAt(project, head).catch(() => undefined))
      for (const { environment, serving } of await store.deployments(project)) {
        const declared = at?.file.deployments[environment]
        if (serving && declared) {
          const { monitor, retrain, log } = declared
          watched.push({ project, environment, ...serving, monitor, retrain, log })
        }
      }
    }
    return watched
  }

/** Removes from the prediction log what is older than Git says it is kept, environment by environment. */
export async function expirePredictions(
  projects: Pick<ProjectsService, 'names' | 'desiredHead' | 'fileAt'>,
  predictions: Pick<PredictionLog, 'expire'>,
): Promise<void> {
  for await (const project of projects.names()) {
    const head = await projects.desiredHead(project)
    const at = head && (await projects.fileAt(project, head).catch(() => undefined))
    for (const [environment, { log }] of Object.entries(at?.file.deployments ?? {}))
      if (log.keepMs !== undefined) await predictions.expire({ project, environment }, log.keepMs)
  }
}

/** The interpreter of a version's own locked environment. */
export const pythonOf =
  (planner: Planner, environments: Environments): PreparationParts['ensurePython'] =>
  async (lockDigest) => {
    if (lockDigest === 'none') return 'python3'
    const lock = await planner.locks.byDigest(lockDigest)
    if (!lock)
      throw new AppError(
        'EnvironmentFailed',
        `The lock ${lockDigest} of the version's environment is not known here.`,
        'Make the model again on this server.',
      )
    return (await environments.ensure(lock, () => {})).pythonPath
  }

/** An interpreter with a version's own packages and the converters: its own environment, where that has them already. */
export const converterPythonOf =
  (planner: Planner, environments: Environments): VersionConversionsParts['converterPython'] =>
  async (lockDigest, signal) => {
    const own = await planner.locks.byDigest(lockDigest)
    if (!own) return pythonOf(planner, environments)(lockDigest, '')
    const locked = lockedPackages(own.requirements)
    if (locked.some(({ conda }) => conda !== undefined))
      throw new AppError(
        'ConversionRefused',
        'Its Python environment is made by conda, into which the converters are not put.',
        'Python computes it.',
      )
    const packages = new Set(locked.map(({ name }) => name))
    const minor = /^\d+\.\d+/.exec(own.pythonVersion)?.[0]
    const lock = converters.every((name) => packages.has(name))
      ? own
      : await environments.resolve(
          {
            requirements: `${own.requirements}\n${converterRequirements()}`,
            ...(minor ? { pythonVersion: `${minor}.*` } : {}),
          },
          () => undefined,
          signal,
        )
    return (await environments.ensure(lock, () => undefined, signal)).pythonPath
  }

const converters = ['onnx', 'onnxruntime', 'skl2onnx']

/** The prediction log as labels ask it. */
export const predictionLookup = (
  predictions: PredictionLog,
): ConstructorParameters<typeof LabelsService>[0]['predictions'] => ({
  decode: decodePredictionId,
  find: (ids) => predictions.findMany(ids),
})
