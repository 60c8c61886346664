import { access } from 'node:fs/promises'
import { canonicalJson, type Digest, digestOf } from '../kernel/digest.ts'
import { isAppError } from '../kernel/errors.ts'
import { type CommitId, newId } from '../kernel/ids.ts'
import type { Place } from '../kernel/place.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Log } from '../ports/log.ts'
import type { Deployment, ProjectsService, Rollout as RolloutPlan } from '../projects/index.ts'
import type { Clearance, PromotionsService } from '../promotions/index.ts'
import type { EndpointDesired, GatewayObserved, ServedVersion } from '../serving/index.ts'
import { type EndpointPolicies, endpointOf, policiesOf, weightsOf } from './decide/gateway-content.ts'
import { mismatches } from './decide/mismatches.ts'
import { newcomerIn } from './decide/newcomer-in.ts'
import {
  needsPerson,
  nextStep,
  type RolloutDecision,
  type RolloutFacts,
  rolloutRuleVersion,
} from './decide/next-step.ts'
import { nextRolloutState } from './decide/rollout-states.ts'
import { straightReason } from './decide/straight-reason.ts'
import type { GatewayFile } from './gateway-file.ts'
import type { Preparation, VersionWish } from './preparation.ts'
import type { DeploymentState, ObserveTraffic, Rollout, VersionName } from './rollout.ts'
import type { RolloutsStore } from './rollouts-store.ts'

export type ReconcilerParts = {
  store: RolloutsStore
  file: GatewayFile
  preparation: Preparation
  promotions: Pick<PromotionsService, 'clearance' | 'versionAborted'>
  projects: Pick<ProjectsService, 'names' | 'desiredHead' | 'fileAt'>
  /** What the gateway says of itself; undefined: it does not answer. */
  observeGateway: () => Promise<GatewayObserved | undefined>
  observeTraffic: ObserveTraffic
  log: Log
}

/** What Git says of an environment. A head that cannot be read says nothing, so everything stays as it is. */
type Declared =
  | { kind: 'unreadable' }
  | { kind: 'nothing' }
  | { kind: 'version'; commit: CommitId; model: string; version: number | undefined; digest: Digest; plan: RolloutPlan }

type Look = {
  place: Place
  declared: Declared
  /** Absent where Git does not say: as before then. */
  policies?: EndpointPolicies
}

type Current = Awaited<ReturnType<GatewayFile['current']>>

/** How often one look may go on at once: abandon the old rollout, begin the next, see that it is prepared. */
const stepsPerLook = 5

/**
 * Brings each environment to what Git declares, look by look. A look reads everything anew and may be lost at any line: what it decided
 * is recorded before it is acted on, and the gateway's file is made from the records, never the other way round.
 */
export class Reconciler {
  readonly #parts: ReconcilerParts
  #looking: Promise<void> | undefined

  constructor(parts: ReconcilerParts) {
    this.#parts = parts
  }

  /** One look at everything. A second call while one is under way waits for that one. */
  async tick(now: EpochMs): Promise<void> {
    this.#looking ??= this.#tick(now).finally(() => {
      this.#looking = undefined
    })
    await this.#looking
  }

  async #tick(now: EpochMs): Promise<void> {
    const observed = await this.#parts.observeGateway().catch(() => undefined)
    const current = await this.#parts.file.current()
    const looks = await this.#places()
    for (const look of looks) await this.#guarded(look, () => this.#reconcile(look, { observed, current, now }))
    await this.#writeFile(looks, current, now).catch((error: unknown) =>
      this.#parts.log.error({ err: error }, "the gateway's file could not be written; the next look tries again"),
    )
    // Only now, with the newcomer out of traffic: bars and proposed reverts may wait for Git, users may not.
    for (const look of looks) await this.#guarded(look, () => this.#finishRollback(look.place, now))
    for (const look of looks) await this.#guarded(look, () => this.#record(look, { observed, current, now }))
  }

  async #places(): Promise<Look[]> {
    const looks: Look[] = []
    for await (const project of this.#parts.projects.names()) looks.push(...(await this.#placesOf(project)))
    return looks
  }

  async #placesOf(project: string): Promise<Look[]> {
    const known = (await this.#parts.store.deployments(project)).map(({ environment }) => environment)
    const head = await this.#declaredAtHead(project)
    if (!head)
      return known.map((environment) => ({ place: { project, environment }, declared: { kind: 'unreadable' } }))
    const environments = new Set([...Object.keys(head.deployments), ...known])
    return [...environments].sort().map((environment) => ({
      place: { project, environment },
      declared: declaredOf(head.deployments[environment], head.commit),
      ...(head.deployments[environment] ? { policies: policiesOf(head.deployments[environment]) } : {}),
    }))
  }

  async #declaredAtHead(
    project: string,
  ): Promise<{ commit: CommitId; deployments: Record<string, Deployment> } | undefined> {
    try {
      const commit = await this.#parts.projects.desiredHead(project)
      return commit && { commit, deployments: (await this.#parts.projects.fileAt(project, commit)).file.deployments }
    } catch (error) {
      if (!isAppError(error, 'ConfigInvalid') && !isAppError(error, 'NotYetSupported'))
        this.#parts.log.error({ err: error, project }, 'the desired state cannot be read')
      return undefined
    }
  }

  /** One environment's trouble must not keep the others from being looked after. */
  async #guarded(look: Look, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#parts.log.error({ err: error, ...look.place }, 'a deployment could not be reconciled')
    }
  }

  async #reconcile(look: Look, seen: Seen): Promise<void> {
    const { place, declared } = look
    if (declared.kind === 'unreadable') return
    for (let step = 0; step < stepsPerLook; step++) {
      const active = await this.#parts.store.active(place)
      const changed = active ? await this.#lookAt(active, look, seen) : await this.#begin(place, declared, seen.now)
      if (!changed) return
    }
  }

  async #lookAt(rollout: Rollout, look: Look, seen: Seen): Promise<boolean> {
    if (rollout.state === 'rolling back') return false
    // The machine's clock was set back: until it had caught up, the step would not end and no request would count.
    if (rollout.stepSince > seen.now) {
      await this.#parts.store.durably((tx) => this.#parts.store.save(tx, { ...rollout, stepSince: seen.now }))
      return true
    }
    const facts = await this.#factsOf(rollout, look, seen)
    const decision = nextStep(rollout, facts)
    if (decision.outcome === 'wait') return false
    await this.#apply(rollout, decision, facts, seen.now)
    return true
  }

  async #factsOf(rollout: Rollout, look: Look, { observed, current, now }: Seen): Promise<RolloutFacts> {
    const { declared } = look
    const { newcomer, old, project, environment } = rollout
    const desired = declared.kind === 'version' ? declared.digest : undefined
    const clearance = await this.#parts.promotions.clearance(rollout, rollout.model, newcomer.digest)
    const prepared = this.#parts.preparation.look(wishOf(newcomer, look, current), now)
    const traffic = { newcomer: noTraffic, old: noTraffic }
    if (rollout.state !== 'preparing') {
      const since = rollout.stepSince
      traffic.newcomer = await this.#parts.observeTraffic({ project, environment, digest: newcomer.digest, since })
      if (old) traffic.old = await this.#parts.observeTraffic({ project, environment, digest: old.digest, since })
    }
    // An observation from before the gateway read of the newcomer may tell of an earlier try of the same version.
    const fresh = observed && current && observed.revision >= current.revision.revision ? observed : undefined
    const named =
      current &&
      endpointIn(current.endpoints, rollout)?.versions.some(({ target }) => target.digest === newcomer.digest)
    const endpoint = fresh && named ? endpointIn(fresh.endpoints, rollout) : undefined
    const trip = endpoint?.guardTripped
    const tripped = trip?.newcomer === newcomer.digest && trip.at >= rollout.createdAt ? trip.reason : undefined
    return {
      ...{ now, desired, clearance, traffic },
      prepared: prepared.state === 'ready' ? { state: 'ready' } : prepared,
      newcomer: newcomerIn(endpoint, newcomer.digest),
      guardTripped: tripped,
    }
  }

  async #apply(
    rollout: Rollout,
    decision: RolloutDecision,
    facts: RolloutFacts | undefined,
    now: EpochMs,
  ): Promise<void> {
    const { request: _, ...rest } = rollout
    const stalled = decision.outcome === 'stall'
    const next: Rollout = {
      ...rest,
      state: nextRolloutState(rollout.state, decision.outcome),
      step: decision.step,
      reason: decision.reasons.join('; '),
      ...(stalled ? { stallCause: 'aborted' } : {}),
      stepSince: now,
      updatedAt: now,
    }
    const inputs = canonicalJson(JSON.parse(JSON.stringify({ rollout, facts: facts ?? null })))
    await this.#parts.store.durably(async (tx) => {
      await this.#parts.store.save(tx, next)
      await this.#parts.store.addDecision(tx, rollout.id, {
        at: now,
        inputs,
        inputsDigest: digestOf(inputs),
        ruleVersion: rolloutRuleVersion,
        stateBefore: rollout.state,
        outcome: decision.outcome,
        reasons: decision.reasons,
      })
      if (next.state === 'done')
        await this.#parts.store.setServing(tx, rollout, { ...rollout.newcomer, model: rollout.model }, now)
    })
  }

  /** True where something changed that asks for another look. */
  async #begin(place: Place, declared: Declared, now: EpochMs): Promise<boolean> {
    const { store, promotions } = this.#parts
    const serving = (await store.deployment(place))?.serving
    if (declared.kind !== 'version') {
      if (serving) await store.durably((tx) => store.setServing(tx, place, undefined, now))
      return false
    }
    if (declared.digest === serving?.digest) return false
    const clearance = await promotions.clearance(place, declared.model, declared.digest)
    const rollout = await this.#newRollout(place, declared, serving, clearance, now)
    if (clearance.cleared) {
      // What failed for an earlier try may have been mended since a person let it try again.
      this.#parts.preparation.forget(declared.digest)
      await store.durably((tx) => store.save(tx, rollout))
      return true
    }
    const latest = await store.latest(place)
    const toldAlready =
      latest?.state === 'stalled' &&
      latest.newcomer.digest === declared.digest &&
      (latest.stallCause === clearance.cause || (latest.stallCause === 'aborted' && clearance.cause === 'barred'))
    if (!toldAlready)
      await store.durably((tx) =>
        store.save(tx, { ...rollout, state: 'stalled', reason: clearance.reason, stallCause: clearance.cause }),
      )
    return false
  }

  async #newRollout(
    place: Place,
    declared: Declared & { kind: 'version' },
    serving: VersionName | undefined,
    clearance: Clearance,
    now: EpochMs,
  ): Promise<Rollout> {
    const { store } = this.#parts
    const straight = straightReason({
      nothingServes: serving === undefined,
      newcomerServedAt: await store.servedAt(place, declared.digest),
      oldServedAt: serving && (await store.servedAt(place, serving.digest)),
    })
    return {
      id: newId(now),
      project: place.project,
      environment: place.environment,
      model: declared.model,
      newcomer: { digest: declared.digest, version: clearance.version ?? declared.version ?? 0 },
      ...(serving ? { old: { digest: serving.digest, version: serving.version } } : {}),
      commit: declared.commit,
      state: 'preparing',
      step: 0,
      plan: declared.plan,
      ...(straight ? { straight } : {}),
      stepSince: now,
      createdAt: now,
      updatedAt: now,
    }
  }

  async #writeFile(looks: readonly Look[], current: Current, now: EpochMs): Promise<void> {
    const endpoints: EndpointDesired[] = []
    for (const look of looks) {
      const { place, policies } = look
      const before = endpointIn(current?.endpoints ?? [], place)?.versions ?? []
      const named = new Map(before.map(({ target }) => [target.digest, target]))
      const serving = (await this.#parts.store.deployment(place))?.serving
      const active = await this.#parts.store.active(place)
      if (serving) await this.#keepServable(wishOf(serving, look, current), named, now)
      const weights = weightsOf(serving, active)
      const model = active?.model ?? serving?.model ?? ''
      // What was named before stays named while it is prepared anew: its worker may be serving.
      const servable = (digest: Digest) =>
        this.#parts.preparation.servable(wishOf({ digest, version: 0 }, look, current)) ?? named.get(digest)
      const asDeclared = policies ?? endpointIn(current?.endpoints ?? [], place)
      const endpoint = endpointOf({ ...asDeclared, ...place, model }, weights, active, servable)
      if (endpoint) endpoints.push(endpoint)
    }
    await this.#parts.file.write(endpoints, now)
  }

  /** What serves must lie on this machine whole, also after a restart and after someone's `rm -r`. */
  async #keepServable(wish: VersionWish, named: ReadonlyMap<Digest, ServedVersion>, now: EpochMs): Promise<void> {
    const { preparation } = this.#parts
    const known = preparation.servable(wish) ?? named.get(wish.digest)
    const isThere =
      known &&
      (await Promise.all([known.modelPath, known.graphPath ?? known.modelPath].map((path) => access(path))).then(
        () => true,
        () => false,
      ))
    if (!isThere && preparation.servable(wish)) preparation.forget(wish.digest)
    preparation.look(wish, now)
  }

  async #finishRollback(place: Place, now: EpochMs): Promise<void> {
    const rollout = await this.#parts.store.active(place)
    if (rollout?.state !== 'rolling back') return
    const reason = rollout.reason ?? 'rolled back'
    await this.#parts.promotions.versionAborted({
      ...place,
      model: rollout.model,
      version: rollout.newcomer.version,
      digest: rollout.newcomer.digest,
      reason,
      back: rollout.old,
    })
    await this.#apply(rollout, { outcome: 'stall', step: rollout.step, reasons: [reason] }, undefined, now)
  }

  async #record(look: Look, { observed, current, now }: Seen): Promise<void> {
    const { place, declared } = look
    const { store, preparation } = this.#parts
    const serving = (await store.deployment(place))?.serving
    const active = await store.active(place)
    // What this look took out of traffic may look however it likes.
    const wanted = new Set(weightsOf(serving, active).map(({ digest }) => digest))
    const written = current && endpointIn(current.endpoints, place)
    const endpoint = written && {
      ...written,
      versions: written.versions.filter(({ target }) => wanted.has(target.digest)),
    }
    const different = mismatches(
      place,
      {
        revision: current?.revision.revision ?? 0,
        writtenAt: current?.revision.writtenAt ?? now,
        endpoint,
        loading: active && isBeingLoaded(active) ? active.newcomer.digest : undefined,
        missing:
          serving && !endpoint && !preparation.servable(wishOf(serving, look, current))
            ? missingReason(wishOf(serving, look, current), preparation)
            : undefined,
      },
      observed,
      now,
    )
    const latest = active ?? (await store.latest(place))
    const trouble = active && preparation.trouble(wishOf(active.newcomer, look, current))
    const held = active && observed && heldReason(active, observed)
    await store.observe(place, stateOf({ declared, serving, latest, different, trouble, held }), now)
  }
}

type Seen = { observed: GatewayObserved | undefined; current: Current; now: EpochMs }

const noTraffic = { requests: 0, failed: 0, inputRefused: 0 }

function declaredOf(deployment: Deployment | undefined, commit: CommitId): Declared {
  if (!deployment?.digest) return { kind: 'nothing' }
  const { model, version, digest, rollout } = deployment
  return { kind: 'version', commit, model, version, digest, plan: rollout }
}

const endpointIn = <E extends Place>(endpoints: readonly E[], place: Place): E | undefined =>
  endpoints.find((one) => one.project === place.project && one.environment === place.environment)

/** Beside the old one, or in its place. */
const isBeingLoaded = ({ state, step, plan }: Rollout): boolean =>
  state === 'preparing' || (state === 'step' && (plan.canary[step] ?? 1) >= 1)

function heldReason(rollout: Rollout, observed: GatewayObserved): string | undefined {
  const newcomer = newcomerIn(endpointIn(observed.endpoints, rollout), rollout.newcomer.digest)
  if (!needsPerson(rollout, { newcomer })) return undefined
  return `a canary is declared, but version ${rollout.newcomer.version} does not fit beside the one that serves; \`modelwright rollouts continue ${rollout.environment}\` lets it take the place without one`
}

/** A head that cannot be read says nothing of it, so it stays as it was. */
function wishOf({ digest, version }: VersionName, { place, policies }: Look, current: Current): VersionWish {
  const { serve } = policies ?? endpointIn(current?.endpoints ?? [], place) ?? {}
  return { digest, version, convert: serve?.convert !== 'off' }
}

const missingReason = (wish: VersionWish, preparation: Preparation): string => {
  const trouble = preparation.trouble(wish)
  return `version ${wish.version} is not on this machine${trouble ? `: ${trouble}` : ' yet'}`
}

/** The one word for a deployment: what is broken comes before what waits, and that before what goes on. */
function stateOf(facts: {
  declared: Declared
  serving: VersionName | undefined
  latest: Rollout | undefined
  different: string[]
  /** Why the newcomer's preparation has to be tried again. */
  trouble: string | undefined
  /** Why a canary that is declared cannot be. */
  held: string | undefined
}): { state: DeploymentState; reason?: string } {
  const { declared, serving, latest, different, trouble, held } = facts
  if (different.length > 0) return { state: 'mismatch', reason: different.join('; ') }
  if (
    latest?.state === 'stalled' &&
    declared.kind === 'version' &&
    latest.newcomer.digest === declared.digest &&
    serving?.digest !== declared.digest
  )
    return { state: 'stalled', ...(latest.reason ? { reason: latest.reason } : {}) }
  if (held) return { state: 'waiting for a person', reason: held }
  if (latest?.state === 'waiting')
    return { state: 'waiting for a person', ...(latest.reason ? { reason: latest.reason } : {}) }
  if (latest && ['preparing', 'step', 'rolling back'].includes(latest.state))
    return { state: 'progressing', ...(trouble ? { reason: trouble } : {}) }
  return { state: serving ? 'serving' : 'nothing declared' }
}
