import { appendAudit } from '../access/index.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import type { CommitId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { Repositories } from '../ports/repository.ts'
import { editDeployment, type ProjectFile, type ProjectsService } from '../projects/index.ts'
import { carriesPromotion, promotionAuthor } from './commit-message.ts'
import { canHear, isDue, isOpen, type PromotionEvent } from './decide/promotion-states.ts'
import type { Promotion } from './promotion.ts'
import type { PromotionChange, PromotionsStore } from './promotions-store.ts'

export type Projects = Pick<ProjectsService, 'get' | 'names' | 'fileAt' | 'desiredHead' | 'observeHeads'>

const projectFile = 'modelwright.yaml'
/** A branch that moves faster than this many tries in a row waits for the next look. */
const maxTries = 8
const logLimit = 1000

type Written =
  | { what: 'committed'; commit: CommitId }
  | { what: 'declared' }
  | { what: 'champion changed' }
  | { what: 'moved' }
  | { what: 'impossible'; reason: string }

/**
 * Carries intents out: each becomes one commit, once. The commit comes first, then its observation, then the record; after a crash
 * between any two the intent is still due, and its commit is found by its trailer instead of being made again.
 */
export class PromotionCommits {
  readonly #store: PromotionsStore
  readonly #repositories: Repositories
  readonly #projects: Projects
  readonly #clock: Clock

  constructor(parts: { store: PromotionsStore; repositories: Repositories; projects: Projects; clock: Clock }) {
    this.#store = parts.store
    this.#repositories = parts.repositories
    this.#projects = parts.projects
    this.#clock = parts.clock
  }

  /** At start and now and then: finishes what is due, and removes proposal branches that nothing waits on. One failure stops no other. */
  async resume(): Promise<{ subject: string; error: unknown }[]> {
    const failures: { subject: string; error: unknown }[] = []
    const noting = (subject: string, work: Promise<void>) =>
      work.catch((error: unknown) => void failures.push({ subject, error }))
    for (const { id } of await this.#store.inStates(['intended', 'approved'])) await noting(id, this.carryOut(id))
    for await (const project of this.#projects.names()) await noting(project, this.sweep(project))
    return failures
  }

  async carryOut(id: string): Promise<void> {
    const promotion = await this.#store.get(id)
    if (!isDue(promotion.state)) return
    if (promotion.destination === 'proposal') await this.#propose(promotion)
    else await this.#commit(promotion)
  }

  async sweep(project: string): Promise<void> {
    const open = await this.#store.page(project, { limit: 1000, states: ['intended', 'proposed', 'approved'] })
    const needed = new Set(open.map((promotion) => promotion.proposalBranch))
    const left = (await this.#repositories.branches(project)).filter(
      ({ branch }) => /^modelwright\/(promote|revert)-/.test(branch) && !needed.has(branch),
    )
    if (left.length === 0) return
    for (const { branch } of left) await this.#repositories.deleteBranch(project, branch)
    await this.#projects.observeHeads(project)
  }

  async #propose(promotion: Promotion): Promise<void> {
    const { project, proposalBranch } = promotion
    const { branch } = await this.#projects.get(project)
    const standing = await this.#repositories.head(project, proposalBranch)
    if (standing) {
      const { message } = await this.#repositories.commit(project, standing)
      if (carriesPromotion(message, promotion.id)) return this.#proposed(promotion, standing)
      await this.#repositories.deleteBranch(project, proposalBranch)
    }
    const head = await this.#repositories.head(project, branch)
    if (!head) return this.#record(promotion, 'cannot be committed', { note: `the branch ${branch} is gone` })
    const edit = await this.#edited(promotion, head)
    if (edit.what === 'declared') return this.#record(promotion, 'declared by a person', {})
    if (edit.what === 'impossible') return this.#record(promotion, 'cannot be committed', { note: edit.reason })
    const commit = await this.#repositories.commitFiles(project, {
      branch: proposalBranch,
      expectedHead: undefined,
      base: head,
      ...this.#commitParts(promotion, edit.text),
    })
    // Someone made the branch in between: the next look sees whose commit it is.
    if (commit !== 'moved') await this.#proposed(promotion, commit)
  }

  async #proposed(promotion: Promotion, commit: CommitId): Promise<void> {
    await this.#projects.observeHeads(promotion.project)
    await this.#record(promotion, 'proposal written', { commit })
  }

  async #commit(promotion: Promotion): Promise<void> {
    const { branch } = await this.#projects.get(promotion.project)
    const written = await this.#write(promotion, branch)
    if (written.what === 'moved') return
    if (written.what === 'impossible') return this.#record(promotion, 'cannot be committed', { note: written.reason })
    if (written.what === 'champion changed') return this.#askInstead(promotion)
    if (written.what === 'declared') await this.#record(promotion, 'declared by a person', {})
    else {
      await this.#projects.observeHeads(promotion.project)
      await this.#record(promotion, 'committed', { commit: written.commit })
    }
    await this.sweep(promotion.project)
  }

  async #write(promotion: Promotion, branch: string): Promise<Written> {
    const { project } = promotion
    for (let attempt = 1; attempt <= maxTries; attempt++) {
      const head = await this.#repositories.head(project, branch)
      if (!head) return { what: 'impossible', reason: `the branch ${branch} is gone` }
      const own = await this.#ownCommit(promotion, head)
      if (own) return { what: 'committed', commit: own }
      const edit = await this.#edited(promotion, head)
      if (edit.what !== 'text') return edit
      const decidedByRule = promotion.state === 'intended' && promotion.kind === 'promotion'
      if (decidedByRule && edit.replaces !== promotion.replaces) return { what: 'champion changed' }
      const commit = await this.#repositories.commitFiles(project, {
        branch,
        expectedHead: head,
        base: head,
        ...this.#commitParts(promotion, edit.text),
      })
      if (commit !== 'moved') return { what: 'committed', commit }
    }
    return { what: 'moved' }
  }

  /** A commit of this intent that an earlier try left on the branch. Older commits of the same promotion were other intents'. */
  async #ownCommit(promotion: Promotion, head: CommitId): Promise<CommitId | undefined> {
    if (head === promotion.base) return undefined
    const log = await this.#repositories.log(promotion.project, head, { until: promotion.base, limit: logLimit })
    return log.find(({ message }) => carriesPromotion(message, promotion.id))?.id
  }

  async #edited(
    { project, environment, model, version, digest }: Promotion,
    head: CommitId,
  ): Promise<
    | { what: 'text'; text: string; replaces: string | undefined }
    | { what: 'declared' }
    | { what: 'impossible'; reason: string }
  > {
    try {
      const { file, text } = await this.#projects.fileAt(project, head)
      const problem = whyNot(file, environment, model)
      if (problem) return { what: 'impossible', reason: `at ${head.slice(0, 12)} ${problem}` }
      const replaces = file.deployments[environment]?.digest
      if (replaces === digest) return { what: 'declared' }
      return { what: 'text', text: editDeployment(text, environment, { model, version, digest }), replaces }
    } catch (error) {
      if (!isAppError(error, 'ConfigInvalid') && !isAppError(error, 'NotYetSupported')) throw error
      return { what: 'impossible', reason: `${projectFile} at ${head.slice(0, 12)} cannot be edited: ${error.message}` }
    }
  }

  /** The evidence was against another version than the one declared now: the same edit, but for a person to decide. */
  async #askInstead(promotion: Promotion): Promise<void> {
    await this.#record(promotion, 'champion changed', {
      destination: 'proposal',
      note: 'another version was declared since this one was judged, so a person decides',
    })
    await this.carryOut(promotion.id)
  }

  async #record(promotion: Promotion, event: PromotionEvent, change: PromotionChange): Promise<void> {
    const at = this.#clock.now()
    await this.#store.durably(async (tx) => {
      const moved = await this.#store.move(tx, promotion, event, { ...change, at })
      if (!moved || (event !== 'committed' && event !== 'declared by a person')) return
      if (event === 'committed') await appendAudit(tx, auditOf(promotion, change.commit, at))
      const others = await this.#store.inStates(['intended', 'proposed', 'blocked'], promotion, tx)
      for (const other of others)
        if (isOvertaken(other, promotion))
          await this.#store.move(tx, other, 'a newer one came', {
            note: `${promotion.model} version ${promotion.version} is declared`,
            at,
          })
    })
  }

  #commitParts(promotion: Promotion, text: string) {
    return {
      files: [{ path: projectFile, content: text }],
      message: promotion.message,
      author: promotionAuthor,
      at: promotion.intendedAt,
    }
  }
}

const isOvertaken = (other: Promotion, declared: Promotion): boolean =>
  other.id !== declared.id &&
  (isOpen(other.state) || other.state === 'blocked') &&
  (other.kind === 'revert' || other.version <= declared.version)

const auditOf = (
  { id, project, environment, digest, version }: Promotion,
  commit: CommitId | undefined,
  at: EpochMs,
) => ({
  at,
  actor: promotionAuthor.name,
  action: 'promotion.commit',
  subject: id,
  details: { project, environment, digest, version, commit: commit ?? null },
})

function whyNot(file: ProjectFile, environment: string, model: string): string | undefined {
  const declared = file.deployments[environment]
  if (declared && declared.model !== model) return `${environment} declares the model ${declared.model}, not ${model}`
  const known = Object.hasOwn(file.models, model) || Object.values(file.steps).some((step) => step.model === model)
  return known ? undefined : `the file no longer has the model ${model}`
}

/** A person asked for something that the promotion's state does not allow. */
export function refuseUnless(promotion: Promotion, event: 'approve' | 'reject'): void {
  if (canHear(promotion.state, event)) return
  throw new AppError(
    'Conflict',
    `${promotion.model} version ${promotion.version} for ${promotion.environment} is ${promotion.state}, so one cannot ${event} it.`,
    'See `modelwright status` for what waits.',
  )
}
