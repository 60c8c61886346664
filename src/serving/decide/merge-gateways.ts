import type { GatewayObserved, VersionState } from '../gateway-state.ts'
import { endpointName } from './endpoint-name.ts'
import type { GuardCounts } from './guard.ts'

type Observed = GatewayObserved['endpoints'][number]
type Version = Observed['versions'][number]

/** What a model answered since it was loaded; times in ms. */
export type InferenceCounts = {
  lastInference: number
  inferences: number
  executions: number
  success: Timed
  fail: Timed
  compute: Timed
}
type Timed = { count: number; ms: number }

/** The state that speaks for a version that several processes hold: whoever cannot answer yet comes first. */
const worstFirst: readonly VersionState[] = ['failed', 'loading', 'restarting', 'ready', 'asleep']

/**
 * What several gateway processes say of themselves, as one: counts are added up, a version is as far as the process that is behind
 * (asleep only where it sleeps in all), a weight as low as the lowest, because a guard may have taken it away. Pure.
 * @param all of those that answered, at least one
 */
export function mergeObserved(all: readonly GatewayObserved[]): GatewayObserved {
  const [first] = all
  if (all.length === 1) return first!
  const problem = all.find((one) => one.problem)?.problem
  const budgets = all.map(({ memory }) => memory?.budget).filter((budget) => budget !== undefined)
  const endpoints = Map.groupBy(
    all.flatMap((one) => one.endpoints),
    endpointName,
  )
  return {
    revision: Math.min(...all.map(({ revision }) => revision)),
    startedAt: Math.max(...all.map(({ startedAt }) => startedAt)),
    ...(problem ? { problem } : {}),
    journal: { written: sum(all, (one) => one.journal?.written), dropped: sum(all, (one) => one.journal?.dropped) },
    memory: {
      ...(budgets.length > 0 ? { budget: budgets.reduce((a, b) => a + b) } : {}),
      used: sum(all, (one) => one.memory?.used),
    },
    endpoints: [...endpoints.values()].map(mergeEndpoint),
  }
}

function mergeEndpoint(all: readonly Observed[]): Observed {
  const { project, environment } = all[0]!
  const trip = all.find((one) => one.guardTripped)?.guardTripped
  const versions = Map.groupBy(
    all.flatMap((one) => one.versions),
    ({ digest }) => digest,
  )
  return {
    project,
    environment,
    versions: [...versions.values()].map(mergeVersion),
    requests: {
      inside: sum(all, (one) => one.requests?.inside),
      waiting: sum(all, (one) => one.requests?.waiting),
      turnedAway: sum(all, (one) => one.requests?.turnedAway),
    },
    inputs: {
      refused: sumByName(all.map((one) => one.inputs?.refused)),
      warned: sumByName(all.map((one) => one.inputs?.warned)),
      imputed: sum(all, (one) => one.inputs?.imputed),
    },
    ...(trip ? { guardTripped: trip } : {}),
  }
}

function mergeVersion(all: readonly Version[]): Version {
  const speaker = all.toSorted((a, b) => worstFirst.indexOf(a.state) - worstFirst.indexOf(b.state))[0]!
  const workers = all.flatMap((one) => one.workers ?? [])
  const replaced = sum(all, (one) => one.replacedForMemory)
  const memory = sum(all, (one) => one.memoryBytes)
  return {
    ...speaker,
    weight: Math.min(...all.map(({ weight }) => weight)),
    ...(memory > 0 ? { memoryBytes: memory } : {}),
    ...(workers.length > 0 ? { workers } : {}),
    ...(replaced > 0 ? { replacedForMemory: replaced } : {}),
  }
}

export function mergeStats(all: readonly InferenceCounts[]): InferenceCounts {
  const timed = (of: (one: InferenceCounts) => Timed): Timed => ({
    count: sum(all, (one) => of(one).count),
    ms: sum(all, (one) => of(one).ms),
  })
  return {
    lastInference: Math.max(0, ...all.map(({ lastInference }) => lastInference)),
    inferences: sum(all, (one) => one.inferences),
    executions: sum(all, (one) => one.executions),
    success: timed(({ success }) => success),
    fail: timed(({ fail }) => fail),
    compute: timed(({ compute }) => compute),
  }
}

export const mergeGuardCounts = (all: readonly GuardCounts[]): GuardCounts => ({
  requests: sum(all, (one) => one.requests),
  errors: sum(all, (one) => one.errors),
  inputFailures: sum(all, (one) => one.inputFailures),
})

const sum = <Of>(all: readonly Of[], of: (one: Of) => number | undefined): number =>
  all.reduce((total, one) => total + (of(one) ?? 0), 0)

function sumByName(all: readonly (Record<string, number> | undefined)[]): Record<string, number> {
  const names = new Set(all.flatMap((one) => Object.keys(one ?? {})))
  return Object.fromEntries([...names].map((name) => [name, sum(all, (one) => one?.[name])]))
}
