import { AppError, bug, isAppError, messageOf } from '../kernel/errors.ts'
import type { CommitId } from '../kernel/ids.ts'
import type { Log } from '../ports/log.ts'
import type { Quarantine, Repositories, TreeEntry } from '../ports/repository.ts'
import { type Project, type ProjectsService, projectFileName } from '../projects/index.ts'
import { printable, refusalLines } from './decide/push-words.ts'
import { judgeRef } from './decide/ref-rules.ts'
import { escapingSymlinks, type SymbolicLink } from './decide/symlinks.ts'
import type { JudgedPush, PlanPush, Push, PushAnswer, RefUpdate } from './push.ts'

const mostRefs = 200
const mostSymlinks = 5000
const longestTarget = 4096

/** Judges what comes in by `git push`, before Git moves a branch and after it did. */
export class PushService {
  readonly #projects: ProjectsService
  readonly #repositories: Repositories
  readonly #planPush: PlanPush
  readonly #publicUrl: () => string
  readonly #log: Log

  constructor(parts: {
    projects: ProjectsService
    repositories: Repositories
    planPush: PlanPush
    publicUrl: () => string
    log: Log
  }) {
    this.#projects = parts.projects
    this.#repositories = parts.repositories
    this.#planPush = parts.planPush
    this.#publicUrl = parts.publicUrl
    this.#log = parts.log
  }

  /** All or nothing: one ref that may not come in refuses the push. An accepted push leaves an intent for each branch. */
  async judge(push: JudgedPush): Promise<PushAnswer> {
    const project = await this.#projects.get(push.project)
    if (push.updates.length > mostRefs)
      return refused('This push', tooMuch(`${push.updates.length} refs at once; at most ${mostRefs} are looked at.`))
    const answers: PushAnswer[] = []
    for (const update of push.updates) answers.push(await this.#judgeUpdate(project, push, update))
    const lines = answers.flatMap((answer) => answer.lines)
    if (answers.some((answer) => !answer.accepted))
      return { accepted: false, lines: answers.filter((answer) => !answer.accepted).flatMap((answer) => answer.lines) }
    await this.#projects.intendPush(project.name, branchMovesOf(push.updates), push.actor)
    return { accepted: true, lines }
  }

  /** Git has moved the branches: that is recorded and told. Gives the lines with the links to follow. */
  async received(push: Push): Promise<string[]> {
    const moves = branchMovesOf(push.updates)
    try {
      await this.#projects.observeHeads(push.project)
    } catch (error) {
      this.#log.error({ err: error, project: push.project }, 'a push could not be recorded')
      return [
        `The push is in Git, but Modelwright could not record it yet: ${messageOf(error)}`,
        '→ Nothing to do: it is taken up as soon as that works again.',
      ].map(printable)
    }
    return moves.map(({ to }) => `${this.#publicUrl()}/projects/${push.project}/commits/${to}`)
  }

  async #judgeUpdate(project: Project, push: JudgedPush, update: RefUpdate): Promise<PushAnswer> {
    const subject = update.ref.replace(/^refs\/(heads\/)?/, '')
    try {
      const verdict = judgeRef(update, project.branch)
      if (verdict.outcome === 'refuse') return refused(subject, new AppError('Forbidden', verdict.reason, verdict.next))
      if (verdict.outcome === 'keep') return { accepted: true, lines: [] }
      const tree = await this.#repositories.tree(project.name, update.to!, push.quarantine)
      await this.#refuseEscapes(project.name, tree, push.quarantine)
      if (verdict.outcome === 'snapshot') return { accepted: true, lines: [] }
      await this.#refuseStale(project.name, verdict.branch, update.from)
      if (!verdict.authoritative && !tree.some((entry) => entry.path === projectFileName))
        return { accepted: true, lines: [`${subject} has no ${projectFileName}: nothing is planned for it.`] }
      const branchPush = { project: project.name, branch: verdict.branch, from: update.from, to: update.to! }
      return { accepted: true, lines: await this.#plan(branchPush, push) }
    } catch (error) {
      if (!isAppError(error) || error.culprit === 'ours')
        this.#log.error({ err: error, project: project.name, ref: update.ref }, 'a push could not be judged')
      return refused(subject, isAppError(error) ? error : bug(`The push could not be judged: ${String(error)}`, error))
    }
  }

  async #plan(
    branch: { project: string; branch: string; from?: CommitId; to: CommitId },
    push: JudgedPush,
  ): Promise<string[]> {
    const { file } = await this.#projects.fileAt(branch.project, branch.to, push.quarantine)
    if (file.project !== branch.project)
      throw new AppError(
        'ConfigInvalid',
        `${projectFileName} says "project: ${file.project}", and this is the remote of "${branch.project}".`,
        `Push to …/git/${file.project}.git, or correct the name in the file.`,
        { place: { file: projectFileName } },
      )
    const lines = await this.#planPush({ ...branch, quarantine: push.quarantine, actor: push.actor })
    return lines.map(printable)
  }

  /** Git's own lock decides between two pushes; looked at here as well, because its words do not say what to do. */
  async #refuseStale(project: string, branch: string, from: CommitId | undefined): Promise<void> {
    const head = await this.#repositories.head(project, branch)
    if (head === from) return
    const recorded = await this.#projects.recordedHead(project, branch)
    const by = recorded && recorded.commit === head ? `, by ${recorded.actor}` : ''
    throw new AppError(
      'Conflict',
      head
        ? `${branch} moved while this push was on its way: it is at ${head.slice(0, 12)} now${by}.`
        : `${branch} was deleted while this push was on its way.`,
      head
        ? `\`git pull --rebase modelwright ${branch}\`, then push again.`
        : '`git fetch --prune modelwright`, then push again.',
    )
  }

  async #refuseEscapes(project: string, tree: readonly TreeEntry[], quarantine: Quarantine | undefined): Promise<void> {
    const links = tree.filter((entry) => entry.mode === 'symlink')
    if (links.length > mostSymlinks)
      throw tooMuch(`${links.length} symbolic links in the tree; at most ${mostSymlinks} are looked at.`)
    const tooLong = links.find((link) => link.size > longestTarget)
    if (tooLong) throw escapeError([{ path: tooLong.path, target: `(${tooLong.size} bytes)` }])
    const targets: SymbolicLink[] = []
    for (const { path, blob } of links) {
      const target = new TextDecoder().decode(await this.#repositories.readBlob(project, blob, quarantine))
      targets.push({ path, target })
    }
    const escaping = escapingSymlinks(targets)
    if (escaping.length > 0) throw escapeError(escaping)
  }
}

const refused = (subject: string, error: AppError): PushAnswer => ({
  accepted: false,
  lines: refusalLines(subject, error),
})

const tooMuch = (what: string): AppError =>
  new AppError('BadRequest', `The push brings ${what}`, 'Push it in smaller parts.')

const escapeError = (links: readonly SymbolicLink[]): AppError =>
  new AppError(
    'Forbidden',
    `Symbolic links that leave the repository: ${links
      .slice(0, 10)
      .map(({ path, target }) => `${path} → ${target}`)
      .join(', ')}${links.length > 10 ? ', …' : ''}.`,
    'Commit the files themselves, or make the links point into the repository.',
    { place: { file: links[0]!.path } },
  )

const branchMovesOf = (updates: readonly RefUpdate[]) =>
  updates.flatMap(({ ref, from, to }) =>
    ref.startsWith('refs/heads/') && to ? [{ branch: ref.slice('refs/heads/'.length), from, to }] : [],
  )
