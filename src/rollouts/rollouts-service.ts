import { appendAudit } from '../access/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import type { Place } from '../kernel/place.ts'
import type { Actor } from '../kernel/route.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deployment, ProjectsService } from '../projects/index.ts'
import type { PromotionsService } from '../promotions/index.ts'
import type { GatewayObserved } from '../serving/index.ts'
import { weightsOf } from './decide/gateway-content.ts'
import { newcomerIn } from './decide/newcomer-in.ts'
import { nextStep, type RolloutFacts } from './decide/next-step.ts'
import { type EndpointView, endpointView, type GatewayView, gatewayView } from './endpoint-view.ts'
import type { DeploymentState, ObserveTraffic, Rollout, TrafficCounts, Weight } from './rollout.ts'
import type { DeploymentRow, RolloutsStore, StoredDecision } from './rollouts-store.ts'
import type { VersionConversionsStore } from './version-conversions-store.ts'

export type RolloutView = Rollout & { decisions: StoredDecision[] }

export type DeploymentView = Place & {
  state: DeploymentState
  reason?: string
  since: EpochMs
  desired?: { model: string; version?: number; digest?: Digest }
  serving?: DeploymentRow['serving']
  weights: (Weight & { actual?: number; worker?: string })[]
  endpoint?: EndpointView
  rollout?: RolloutView & { traffic: { newcomer: TrafficCounts; old: TrafficCounts }; next: string }
}

const noTraffic: TrafficCounts = { requests: 0, failed: 0, inputRefused: 0 }

/** What people ask of deployments, and what they tell a rollout to do. */
export class RolloutsService {
  readonly #store: RolloutsStore
  readonly #projects: Pick<ProjectsService, 'get' | 'desiredHead' | 'fileAt'>
  readonly #promotions: Pick<PromotionsService, 'desiredHistory'>
  readonly #observeGateway: () => Promise<GatewayObserved | undefined>
  readonly #observeTraffic: ObserveTraffic
  readonly #conversions: Pick<VersionConversionsStore, 'factsOf'>
  readonly #clock: Clock

  constructor(parts: {
    store: RolloutsStore
    projects: Pick<ProjectsService, 'get' | 'desiredHead' | 'fileAt'>
    promotions: Pick<PromotionsService, 'desiredHistory'>
    observeGateway: () => Promise<GatewayObserved | undefined>
    observeTraffic: ObserveTraffic
    conversions: Pick<VersionConversionsStore, 'factsOf'>
    clock: Clock
  }) {
    this.#store = parts.store
    this.#projects = parts.projects
    this.#promotions = parts.promotions
    this.#observeGateway = parts.observeGateway
    this.#observeTraffic = parts.observeTraffic
    this.#conversions = parts.conversions
    this.#clock = parts.clock
  }

  async deployments(project: string): Promise<DeploymentView[]> {
    const declared = await this.#declared(project)
    const rows = new Map((await this.#store.deployments(project)).map((row) => [row.environment, row]))
    const observed = await this.#observed()
    const environments = [...new Set([...Object.keys(declared), ...rows.keys()])].sort()
    return Promise.all(
      environments.map((environment) =>
        this.#view({ project, environment }, declared[environment], rows.get(environment), observed),
      ),
    )
  }

  async deployment(place: Place) {
    const all = await this.deployments(place.project)
    const view = all.find(({ environment }) => environment === place.environment)
    if (!view)
      throw new AppError(
        'NotFound',
        `${place.project} has no deployment "${place.environment}"; there are: ${all.map(({ environment }) => environment).join(', ') || 'none'}.`,
        'Declare it under deployments: in modelwright.yaml.',
      )
    const rollouts = await Promise.all((await this.#store.history(place, 50)).map((one) => this.#withDecisions(one)))
    return { ...view, rollouts, desiredHistory: (await this.#promotions.desiredHistory(place)).reverse() }
  }

  async gateway(): Promise<GatewayView> {
    return gatewayView(await this.#observed())
  }

  rollout(id: string): Promise<Rollout> {
    return this.#store.get(id)
  }

  continue(id: string, actor: Actor): Promise<void> {
    return this.#request(id, 'continue', actor)
  }

  abort(id: string, actor: Actor): Promise<void> {
    return this.#request(id, 'abort', actor)
  }

  async #request(id: string, what: 'continue' | 'abort', actor: Actor): Promise<void> {
    if (actor.kind !== 'owner' && actor.kind !== 'member')
      throw new AppError('Forbidden', `${actor.name} may not steer rollouts.`, "Use a member's or the owner's token.")
    const rollout = await this.#store.get(id)
    const allowed = ['preparing', 'step', 'waiting']
    if (!allowed.includes(rollout.state)) throw notNow(rollout, what)
    const at = this.#clock.now()
    await this.#store.durably(async (tx) => {
      if (!(await this.#store.request(tx, id, { what, by: actor.name }, at))) throw notNow(rollout, what)
      const { project, environment, newcomer } = rollout
      const details = { project, environment, digest: newcomer.digest, version: newcomer.version, step: rollout.step }
      await appendAudit(tx, { at, actor: actor.name, action: `rollout.${what}`, subject: id, details })
    })
  }

  #observed(): Promise<GatewayObserved | undefined> {
    return this.#observeGateway().catch(() => undefined)
  }

  async #declared(project: string): Promise<Record<string, Deployment>> {
    await this.#projects.get(project)
    const head = await this.#projects.desiredHead(project)
    if (!head) return {}
    try {
      return (await this.#projects.fileAt(project, head)).file.deployments
    } catch (error) {
      if (isAppError(error, 'ConfigInvalid') || isAppError(error, 'NotYetSupported')) return {}
      throw error
    }
  }

  async #view(
    place: Place,
    declared: Deployment | undefined,
    row: DeploymentRow | undefined,
    observed: GatewayObserved | undefined,
  ): Promise<DeploymentView> {
    const active = await this.#store.active(place)
    const seen = observed?.endpoints.find(
      (one) => one.project === place.project && one.environment === place.environment,
    )
    const weights = weightsOf(row?.serving, active).map((weight) => {
      const actual = seen?.versions.find(({ digest }) => digest === weight.digest)
      return { ...weight, ...(actual ? { actual: actual.weight, worker: actual.state } : {}) }
    })
    return {
      ...place,
      state: row?.observed ?? (declared?.digest ? 'progressing' : 'nothing declared'),
      ...(row?.observedReason ? { reason: row.observedReason } : {}),
      since: row?.observedSince ?? this.#clock.now(),
      ...(declared ? { desired: { model: declared.model, version: declared.version, digest: declared.digest } } : {}),
      ...(row?.serving ? { serving: row.serving } : {}),
      weights,
      ...(observed && seen ? { endpoint: await this.#endpoint(seen, observed.startedAt, declared) } : {}),
      ...(active ? { rollout: await this.#underWay(active, declared?.digest, seen) } : {}),
    }
  }

  async #endpoint(
    seen: GatewayObserved['endpoints'][number],
    startedAt: EpochMs,
    declared: Deployment | undefined,
  ): Promise<EndpointView> {
    const conversions = await this.#conversions.factsOf(seen.versions.map(({ digest }) => digest))
    return endpointView(seen, { startedAt, declared, conversions })
  }

  /** The same rule that the next look will go by, so that what is shown is what is waited for. */
  async #underWay(
    rollout: Rollout,
    desired: Digest | undefined,
    seen: GatewayObserved['endpoints'][number] | undefined,
  ) {
    const traffic = { newcomer: noTraffic, old: noTraffic }
    const { project, environment, newcomer, old, stepSince: since } = rollout
    if (rollout.state === 'step' || rollout.state === 'waiting') {
      traffic.newcomer = await this.#observeTraffic({ project, environment, digest: newcomer.digest, since })
      if (old) traffic.old = await this.#observeTraffic({ project, environment, digest: old.digest, since })
    }
    const version = newcomerIn(seen, newcomer.digest)
    const facts: RolloutFacts = {
      now: this.#clock.now(),
      desired,
      clearance: { cleared: true, version: newcomer.version },
      prepared: { state: version ? 'ready' : 'going on' },
      newcomer: version,
      guardTripped: undefined,
      traffic,
    }
    return { ...(await this.#withDecisions(rollout)), traffic, next: nextStep(rollout, facts).reasons.join('; ') }
  }

  async #withDecisions(rollout: Rollout): Promise<RolloutView> {
    return { ...rollout, decisions: await this.#store.decisions(rollout.id) }
  }
}

const notNow = (rollout: Rollout, what: 'continue' | 'abort'): AppError =>
  new AppError(
    'Conflict',
    `The rollout of version ${rollout.newcomer.version} to ${rollout.environment} is ${rollout.state}, so one cannot ${what} it.`,
    rollout.state === 'stalled'
      ? 'Approve the promotion of the version to let it try again, or merge the proposed revert.'
      : 'See `modelwright status` for what is under way.',
  )
