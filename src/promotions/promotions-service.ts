import { appendAudit } from '../access/index.ts'
import { publish, type Tx } from '../db/index.ts'
import { canonicalJson, type Digest, digestOf } from '../kernel/digest.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import type { EventPayloads } from '../kernel/events.ts'
import type { CommitId } from '../kernel/ids.ts'
import type { Place } from '../kernel/place.ts'
import { type Actor, anonymous } from '../kernel/route.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { Repositories } from '../ports/repository.ts'
import type { ProjectFile } from '../projects/index.ts'
import type { Candidate, CandidateOf } from './candidate.ts'
import { commitMessage } from './commit-message.ts'
import { meaningOf } from './decide/desired-change.ts'
import {
  becomesVersion,
  decidePromotions,
  type EnvironmentFacts,
  type PromotionFacts,
  promoteRuleVersion,
} from './decide/promote.ts'
import { canHear, isOpen } from './decide/promotion-states.ts'
import { supersedes } from './decide/supersedes.ts'
import { type ModelVersionManifest, parseManifest } from './manifest.ts'
import type { Bar, DesiredState, Promotion, PromotionState } from './promotion.ts'
import { type Projects, PromotionCommits, refuseUnless } from './promotion-commits.ts'
import { type AbortedVersion, type Decided, type Head, intentOf, revertOf } from './promotion-intents.ts'
import type { JudgedVersion, PromotionsStore } from './promotions-store.ts'
import { VersionRegister, type VersionRegistrar } from './version-register.ts'

/** Whether an environment may serve a version that Git names. */
export type Clearance =
  | { cleared: true; version: number }
  | { cleared: false; cause: 'unknown' | 'other model' | 'unapproved' | 'barred'; reason: string; version?: number }

/** verdict → model version → commit of desired state. */
export class PromotionsService {
  readonly #store: PromotionsStore
  readonly #commits: PromotionCommits
  readonly #register: VersionRegister
  readonly #objects: ObjectStore
  readonly #projects: Projects
  readonly #repositories: Repositories
  readonly #clock: Clock
  readonly #candidateOf: CandidateOf

  constructor(parts: {
    store: PromotionsStore
    objects: ObjectStore
    registry: VersionRegistrar
    projects: Projects
    repositories: Repositories
    clock: Clock
    candidateOf: CandidateOf
  }) {
    this.#store = parts.store
    this.#commits = new PromotionCommits(parts)
    this.#register = new VersionRegister(parts)
    this.#objects = parts.objects
    this.#projects = parts.projects
    this.#repositories = parts.repositories
    this.#clock = parts.clock
    this.#candidateOf = parts.candidateOf
  }

  /** On 'gate.judged'. The same event again changes nothing more. */
  async onJudged({ project, executionId, model }: EventPayloads['gate.judged'], judgedAt: EpochMs): Promise<void> {
    const candidate = await this.#candidateOf(executionId as Candidate['origin']['execution'], model)
    if (!candidate || !becomesVersion(candidate.verdict.outcome, candidate.standing)) return
    const version = await this.#register.register(candidate, judgedAt)
    const head = await this.#head(project)
    if (!head) return
    const facts = await this.#factsOf(project, candidate, version, head.file)
    const intents = await this.#decide(project, candidate, facts, head)
    for (const intent of intents) await this.#commits.carryOut(intent.id)
    if (intents.length > 0) await this.#commits.sweep(project)
  }

  /** On 'branch.moved': what Git declares now, whether that takes a version back, and which proposals it answers. */
  async onBranchMoved(move: EventPayloads['branch.moved'], at: EpochMs): Promise<void> {
    const { project } = move
    if ((await this.#projects.get(project)).branch !== move.branch) return
    const file = await this.#fileAt(project, move.to)
    if (!file) return
    const environments = new Set([...Object.keys(file.deployments), ...(await this.#store.knownEnvironments(project))])
    for (const environment of environments) {
      const declared = file.deployments[environment]
      const now: DesiredState = {
        ...(declared ? { model: declared.model, version: declared.version, digest: declared.digest } : {}),
        commit: move.to,
        actor: move.actor,
        origin: move.origin,
        at,
      }
      await this.#store.durably((tx) => this.#recordDesired(tx, { project, environment }, now))
    }
    await this.#commits.sweep(project)
  }

  /** A person's yes: makes the commit on the authoritative branch, and lifts a bar. */
  async approve(id: string, actor: Actor): Promise<Promotion> {
    const promotion = await this.#store.get(id)
    refuseStranger(promotion, actor)
    refuseUnless(promotion, 'approve')
    const head = await this.#branchHead(promotion.project)
    const at = this.#clock.now()
    const approved = { ...promotion, decidedBy: actor.name, intendedAt: at, base: head }
    const { project, environment, digest } = promotion
    await this.#store.durably(async (tx) => {
      const moved = await this.#store.move(tx, promotion, 'approve', {
        destination: 'branch',
        base: head,
        intendedAt: at,
        decidedBy: actor.name,
        message: commitMessage(approved),
        at,
      })
      if (!moved) throw movedOn(promotion)
      await this.#store.liftBar(tx, promotion, digest, { by: actor.name, at })
      const details = { project, environment, digest, version: promotion.version, verdict: promotion.verdictId ?? null }
      await appendAudit(tx, { at, actor: actor.name, action: 'promotion.approve', subject: id, details })
    })
    await this.#commits.carryOut(id)
    return this.#store.get(id)
  }

  async reject(id: string, actor: Actor): Promise<Promotion> {
    const promotion = await this.#store.get(id)
    refuseStranger(promotion, actor)
    refuseUnless(promotion, 'reject')
    const at = this.#clock.now()
    const { project, environment, digest } = promotion
    await this.#store.durably(async (tx) => {
      if (!(await this.#store.move(tx, promotion, 'reject', { decidedBy: actor.name, at }))) throw movedOn(promotion)
      const details = { project, environment, digest, version: promotion.version }
      await appendAudit(tx, { at, actor: actor.name, action: 'promotion.reject', subject: id, details })
    })
    await this.#commits.sweep(promotion.project)
    return this.#store.get(id)
  }

  /** After an aborted rollout: bars the version and proposes the revert, once. */
  async versionAborted(aborted: AbortedVersion): Promise<void> {
    const at = this.#clock.now()
    const base = aborted.back ? await this.#branchHead(aborted.project) : undefined
    const intent = await this.#store.durably(async (tx) => {
      if (await this.#store.bar(aborted, aborted.digest, tx)) return undefined
      await this.#barAndTell(tx, aborted, { digest: aborted.digest, cause: 'aborted', reason: aborted.reason, at })
      if (!aborted.back || !base) return undefined
      const revert = revertOf(aborted, aborted.back, base, at)
      await this.#store.add(tx, revert)
      return revert
    })
    if (intent) await this.#commits.carryOut(intent.id)
  }

  /** Whether what Git names for an environment may serve there, and why not. */
  async clearance(place: Place, model: string, digest: Digest): Promise<Clearance> {
    const known = await this.#store.versionByDigest(digest)
    if (!known || known.project !== place.project)
      return {
        cleared: false,
        cause: 'unknown',
        reason: `no judged version of ${place.project} has the digest ${digest}`,
      }
    const { version } = known
    if (known.model !== model)
      return {
        cleared: false,
        cause: 'other model',
        version,
        reason: `the digest is that of ${known.model} version ${version}, not of ${model}`,
      }
    const bar = await this.#store.bar(place, digest)
    if (bar)
      return {
        cleared: false,
        cause: 'barred',
        version,
        reason: `${model} version ${version} is barred until a person approves it: ${bar.reason}`,
      }
    const last = await this.#store.lastOf(place, digest)
    if (last?.decidedBy && ['approved', 'committed', 'merged'].includes(last.state)) return { cleared: true, version }
    const passed = known.verdictOutcome === 'pass' || known.verdictOutcome === 'warn'
    if (passed && !(last && isOpen(last.state) && needsName(last))) return { cleared: true, version }
    const verdict = passed
      ? `${place.environment} asks for the approval of the role "${last?.approver}"`
      : `the gate's verdict is ${known.verdictOutcome}`
    return {
      cleared: false,
      cause: 'unapproved',
      version,
      reason: `${model} version ${version} needs an approval that nobody gave: ${verdict}`,
    }
  }

  barOn(place: Place, digest: Digest): Promise<Bar | undefined> {
    return this.#store.bar(place, digest)
  }

  async manifestOf(digest: Digest): Promise<ModelVersionManifest> {
    return parseManifest(new TextDecoder().decode(await this.#objects.read(digest)), digest)
  }

  /** Finishes what a crash interrupted: at start, and now and then. Says what could not be finished this time. */
  resume(): Promise<{ subject: string; error: unknown }[]> {
    return this.#commits.resume()
  }

  get(id: string): Promise<Promotion> {
    return this.#store.get(id)
  }

  async list(
    project: string,
    page: { before?: string; limit: number; states?: readonly PromotionState[] },
  ): Promise<Promotion[]> {
    await this.#projects.get(project)
    return this.#store.page(project, page)
  }

  desiredHistory(place: Place): Promise<DesiredState[]> {
    return this.#store.desiredHistory(place)
  }

  async #factsOf(
    project: string,
    candidate: Candidate,
    version: JudgedVersion,
    file: ProjectFile,
  ): Promise<PromotionFacts> {
    const { digest, model } = version
    const environments: EnvironmentFacts[] = []
    for (const [environment, rule] of Object.entries(file.models[model]?.promote ?? {})) {
      const place = { project, environment }
      const declared = file.deployments[environment]
      const earlier = await this.#store.lastOf(place, digest)
      const bar = await this.#store.bar(place, digest)
      environments.push({
        environment,
        rule,
        desired: declared && { model: declared.model, ...(declared.digest ? { digest: declared.digest } : {}) },
        earlier: earlier && { id: earlier.id, state: earlier.state },
        barred: bar && { reason: bar.reason },
      })
    }
    return {
      verdict: candidate.verdict.outcome,
      standing: candidate.standing,
      candidate: { model, version: version.version, digest },
      environments,
    }
  }

  /** Decisions, intents and what they supersede, in one transaction; environments decided before stay as they are. */
  async #decide(project: string, candidate: Candidate, facts: PromotionFacts, head: Head): Promise<Promotion[]> {
    const at = this.#clock.now()
    const before = await this.#store.decided(candidate.verdict.id)
    const decisions = decidePromotions(facts).filter(({ environment }) => !before.includes(environment))
    return this.#store.durably(async (tx) => {
      const intents: Promotion[] = []
      for (const decision of decisions) {
        const place = { project, environment: decision.environment }
        const decided = { project, candidate, facts, decision, head, at }
        const intent = decision.outcome === 'nothing' ? undefined : intentOf(decided)
        await this.#saveDecision(tx, decided, intent)
        if (!intent) continue
        for (const other of await this.#store.inStates(['intended', 'proposed', 'blocked'], place, tx))
          if (supersedes(intent, other))
            await this.#store.move(tx, other, 'a newer one came', { note: `version ${intent.version} came`, at })
        await this.#store.add(tx, intent)
        intents.push(intent)
      }
      return intents
    })
  }

  async #saveDecision(tx: Tx, decided: Decided, intent: Promotion | undefined): Promise<void> {
    const { project, candidate, facts, decision, at } = decided
    const inputs = canonicalJson({
      ...facts,
      environments: facts.environments.filter(({ environment }) => environment === decision.environment),
    })
    await this.#store.addDecision(tx, {
      project,
      environment: decision.environment,
      verdictId: candidate.verdict.id,
      inputs,
      inputsDigest: digestOf(inputs),
      ruleVersion: promoteRuleVersion,
      outcome: decision.outcome,
      reasons: decision.reasons,
      ...(intent ? { promotionId: intent.id } : {}),
      at,
    })
  }

  async #recordDesired(tx: Tx, place: Place, now: DesiredState): Promise<void> {
    const history = await this.#store.desiredHistory(place, tx)
    const last = history.at(-1)
    if (last ? last.digest === now.digest && last.model === now.model : now.digest === undefined) return
    await this.#store.addDesired(tx, place, now)
    await publish(tx, { type: 'desired.changed', payload: { ...place, commit: now.commit } }, now.at)
    const person = now.origin === 'push' && now.actor !== anonymous.name ? now.actor : undefined
    const meaning = meaningOf({ history: history.map(({ digest }) => digest), now: now.digest, person })
    if (meaning.lifted && person) await this.#store.liftBar(tx, place, meaning.lifted, { by: person, at: now.at })
    if (meaning.reverted && !(await this.#store.bar(place, meaning.reverted.digest, tx)))
      await this.#barAndTell(tx, place, { ...meaning.reverted, cause: 'reverted', at: now.at })
    if (now.digest) await this.#answerProposals(tx, place, now.digest, person, now)
  }

  /** Proposals that this desired state answers (it is what they asked for) or makes pointless (a revert of something else). */
  async #answerProposals(tx: Tx, place: Place, digest: Digest, person: string | undefined, now: DesiredState) {
    const merged = { commit: now.commit, ...(person ? { decidedBy: person } : {}), at: now.at }
    for (const open of await this.#store.inStates(['intended', 'proposed', 'approved'], place, tx)) {
      // Whoever may write to Git without a token has not approved anything: it goes on waiting.
      if (open.digest === digest && now.origin === 'push' && !person && needsName(open)) continue
      // A due commit of Modelwright's own is recorded by the one who makes it.
      if (open.digest === digest && (now.origin === 'push' || open.state === 'proposed'))
        await this.#store.move(tx, open, 'declared by a person', merged)
      else if (open.kind === 'revert' && open.digest !== digest && open.replaces !== digest)
        await this.#store.move(tx, open, 'a newer one came', { note: 'another version is declared', at: now.at })
    }
    const last = await this.#store.lastOf(place, digest, tx)
    if (
      person &&
      last &&
      canHear(last.state, 'declared by a person') &&
      ['barred', 'blocked', 'superseded', 'rejected'].includes(last.state)
    )
      await this.#store.move(tx, last, 'declared by a person', merged)
    if (person)
      await appendAudit(tx, {
        at: now.at,
        actor: person,
        action: 'desired.declare',
        subject: `${place.project}/${place.environment}`,
        details: { digest, commit: now.commit },
      })
  }

  async #barAndTell(tx: Tx, place: Place, bar: Bar): Promise<void> {
    await this.#store.setBar(tx, place, bar)
    const last = await this.#store.lastOf(place, bar.digest, tx)
    if (last && canHear(last.state, bar.cause))
      await this.#store.move(tx, last, bar.cause, { note: bar.reason, at: bar.at })
  }

  async #head(project: string): Promise<Head | undefined> {
    const commit = await this.#projects.desiredHead(project)
    const file = commit && (await this.#fileAt(project, commit))
    return commit && file ? { commit, file } : undefined
  }

  /** A head that cannot be read declares nothing: pushes refuse such a file, and what serves stays. */
  async #fileAt(project: string, commit: CommitId): Promise<ProjectFile | undefined> {
    try {
      return (await this.#projects.fileAt(project, commit)).file
    } catch (error) {
      if (isAppError(error, 'ConfigInvalid') || isAppError(error, 'NotYetSupported')) return undefined
      throw error
    }
  }

  async #branchHead(project: string): Promise<CommitId> {
    const { branch } = await this.#projects.get(project)
    const head = await this.#repositories.head(project, branch)
    if (head) return head
    throw new AppError('Conflict', `The branch ${branch} of ${project} is gone.`, `Push ${branch} again, then retry.`)
  }
}

/** Who may decide comes from the token that was shown, never from a commit's author. Only owner and member are roles today. */
function refuseStranger(promotion: Promotion, actor: Actor): void {
  if (actor.kind === 'owner') return
  if (actor.kind !== 'member')
    throw new AppError('Forbidden', `${actor.name} may not decide promotions.`, "Use a member's or the owner's token.")
  if (promotion.approver && promotion.approver !== 'member')
    throw new AppError(
      'Forbidden',
      `${promotion.environment} asks for the approval of the role "${promotion.approver}", which ${actor.name} does not hold.`,
      'Ask the owner, who may approve in place of every role.',
    )
}

/** Only an authenticated person's yes counts for it. */
const needsName = (promotion: Promotion): boolean =>
  promotion.approver !== undefined || promotion.verdictOutcome === 'inconclusive'

const movedOn = (promotion: Promotion): AppError =>
  new AppError(
    'Conflict',
    `The promotion of version ${promotion.version} to ${promotion.environment} changed a moment ago.`,
    'Look at it again.',
  )
