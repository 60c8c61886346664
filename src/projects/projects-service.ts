import { AppError } from '../kernel/errors.ts'
import type { CommitId } from '../kernel/ids.ts'
import type { Actor, Page } from '../kernel/route.ts'
import { Turns } from '../kernel/turns.ts'
import type { Clock } from '../ports/clock.ts'
import type { Quarantine, Repositories, TreeEntry } from '../ports/repository.ts'
import { nameProblem } from './decide/grammar.ts'
import { declaresNoSteps, parseProjectFile, parseWithDvc } from './decide/parse-project-file.ts'
import { dvcFileName, dvcValueFiles } from './decide/read-dvc-file.ts'
import type { ProjectFile } from './project-file.ts'
import type { Observer, Project, ProjectsStore, RecordedHead } from './projects-store.ts'

export const projectFileName = 'modelwright.yaml'

/** A move that no push explains is a commit of Modelwright itself: every push leaves an intent first. */
export const modelwrightItself: Observer = { actor: 'modelwright', origin: 'modelwright' }

export type FileAtCommit = { file: ProjectFile; text: string }

/** Far above any file that people write; a YAML bomb is refused by the parser. */
const maxFileBytes = 1024 * 1024
const filesRemembered = 64
const stepsRemembered = 50_000

export class ProjectsService {
  readonly #store: ProjectsStore
  readonly #repositories: Repositories
  readonly #clock: Clock
  readonly #files = new Map<string, FileAtCommit>()
  readonly #turns = new Turns()

  constructor(parts: { store: ProjectsStore; repositories: Repositories; clock: Clock }) {
    this.#store = parts.store
    this.#repositories = parts.repositories
    this.#clock = parts.clock
  }

  /** Idempotent. The repository is made first: a record without one would be a promise that nobody keeps. */
  async connect(wanted: { name: string; branch?: string }, actor: Actor): Promise<Project & { created: boolean }> {
    refuseBadName(wanted.name)
    const end = await this.#turns.take(wanted.name)
    try {
      return await this.#connect(wanted, actor)
    } finally {
      end()
    }
  }

  async get(name: string): Promise<Project> {
    const project = await this.#store.find(name)
    if (project) return project
    throw new AppError(
      'NotFound',
      `There is no project "${name}".`,
      'Connect a repository with `modelwright init`; `modelwright status` lists the projects.',
    )
  }

  async list(page: { after?: string; limit: number }): Promise<Page<Project>> {
    const found = await this.#store.page(page.after ?? '', page.limit + 1)
    const items = found.slice(0, page.limit)
    return found.length > page.limit ? { items, nextPageToken: items.at(-1)!.name } : { items }
  }

  /** Every project by name, however many there are. */
  async *names(): AsyncGenerator<string> {
    for (let after = ''; ; ) {
      const { items, nextPageToken } = await this.list({ after, limit: 100 })
      for (const { name } of items) yield name
      if (!nextPageToken) return
      after = nextPageToken
    }
  }

  /** The checked modelwright.yaml of a commit. Throws ConfigInvalid or NotYetSupported, each with its place. */
  async fileAt(project: string, commit: CommitId, quarantine?: Quarantine): Promise<FileAtCommit> {
    const key = `${project}/${commit}`
    const known = this.#files.get(key)
    if (known) return this.#remember(key, known)
    const tree = await this.#repositories.tree(project, commit, quarantine)
    const text = await this.#textAt(project, commit, tree, quarantine)
    const dvc = declaresNoSteps(text) ? await this.#dvcAt(project, tree, quarantine) : undefined
    const file = dvc ? parseWithDvc(text, dvc, projectFileName) : parseProjectFile(text, projectFileName)
    const read = this.#remember(key, { file, text })
    this.#forgetOldest()
    return read
  }

  /** Where the authoritative branch stands, as recorded; undefined before the first push. */
  async desiredHead(name: string): Promise<CommitId | undefined> {
    return (await this.get(name)).head
  }

  async recordedHead(project: string, branch: string): Promise<RecordedHead | undefined> {
    return this.#store.head(project, branch)
  }

  /** Before Git moves branches for a push: who moves them, so that the move is told rightly whatever happens next. */
  async intendPush(
    project: string,
    moves: readonly { branch: string; from: CommitId | undefined; to: CommitId }[],
    actor: Actor,
  ): Promise<void> {
    const intents = moves.map((move) => ({ ...move, actor: actor.name }))
    await this.#store.intend(project, intents, this.#clock.now())
  }

  /**
   * Compares the real branches with the recorded ones; records each move and publishes 'branch.moved', exactly once.
   * `observer` answers for moves that no push explains. Observations of one project go one after the other: an older
   * reading recorded after a newer one would tell of a move backwards.
   */
  async observeHeads(project: string, observer: Observer = modelwrightItself): Promise<void> {
    const end = await this.#turns.take(project)
    try {
      const real = await this.#repositories.branches(project)
      await this.#store.recordHeads(project, real, observer, this.#clock.now())
    } finally {
      end()
    }
  }

  /** At server start and now and then: finds the moves whose record a crash prevented. One bad repository stops no other. */
  async observeAll(): Promise<{ project: string; error: unknown }[]> {
    const failures: { project: string; error: unknown }[] = []
    for await (const project of this.names())
      await this.observeHeads(project).catch((error: unknown) => failures.push({ project, error }))
    return failures
  }

  async #dvcAt(
    project: string,
    tree: readonly TreeEntry[],
    quarantine: Quarantine | undefined,
  ): Promise<{ text: string; files: Map<string, string> } | undefined> {
    const read = async (path: string) => {
      const entry = tree.find((candidate) => candidate.path === path && isRegular(candidate))
      if (!entry || entry.size > maxFileBytes) return undefined
      return utf8(await this.#repositories.readBlob(project, entry.blob, quarantine))
    }
    const text = await read(dvcFileName)
    if (text === undefined) return undefined
    const files = new Map<string, string>()
    for (const path of dvcValueFiles(text)) {
      const content = await read(path)
      if (content !== undefined) files.set(path, content)
    }
    return { text, files }
  }

  /** A Map keeps the order of insertion: the first key is the one not asked for longest. */
  #remember(key: string, read: FileAtCommit): FileAtCommit {
    this.#files.delete(key)
    this.#files.set(key, read)
    return read
  }

  /** A matrix makes ten thousand steps of a line: what is remembered is bounded by steps too. */
  #forgetOldest(): void {
    let [files, steps] = [0, 0]
    for (const [key, { file }] of [...this.#files].reverse()) {
      files++
      steps += Object.keys(file.steps).length
      if (files > 1 && (files > filesRemembered || steps > stepsRemembered)) this.#files.delete(key)
    }
  }

  async #connect(wanted: { name: string; branch?: string }, actor: Actor): Promise<Project & { created: boolean }> {
    const known = await this.#store.find(wanted.name)
    if (known) return { ...(await this.#withBranch(known, wanted.branch)), created: false }
    await this.#repositories.create(wanted.name)
    const project = { name: wanted.name, branch: wanted.branch ?? 'main', createdAt: this.#clock.now() }
    const created = await this.#store.add(project, actor.name)
    return { ...(await this.get(wanted.name)), created }
  }

  async #withBranch(project: Project, branch: string | undefined): Promise<Project> {
    if (branch === undefined || branch === project.branch) return project
    if (project.head)
      throw new AppError(
        'Conflict',
        `The authoritative branch of ${project.name} is "${project.branch}", at ${project.head.slice(0, 12)}, not "${branch}".`,
        `Push to ${project.branch}, or connect the repository under another name.`,
      )
    await this.#store.setBranch(project.name, branch)
    return { ...project, branch }
  }

  /** A repository of DVC's needs no modelwright.yaml to be carried out: its stages are the steps. */
  async #textAt(
    project: string,
    commit: CommitId,
    tree: readonly TreeEntry[],
    quarantine: Quarantine | undefined,
  ): Promise<string> {
    const entry = tree.find((candidate) => candidate.path === projectFileName)
    if (!entry && isFile(tree, dvcFileName)) {
      const python = isFile(tree, 'requirements.txt') ? 'python: { requirements: requirements.txt }\n' : ''
      return `project: ${project}\n${python}`
    }
    if (!entry)
      throw new AppError(
        'ConfigInvalid',
        `There is no ${projectFileName} at the root of commit ${commit.slice(0, 12)}.`,
        'Run `modelwright init` in the repository, commit the file that it writes, and push again.',
        { place: { file: projectFileName } },
      )
    if (entry.mode === 'symlink' || entry.mode === 'submodule' || entry.size > maxFileBytes)
      throw new AppError(
        'ConfigInvalid',
        entry.size > maxFileBytes
          ? `${projectFileName} has ${entry.size} bytes; at most ${maxFileBytes} are read.`
          : `${projectFileName} is a ${entry.mode}.`,
        'Make it a plain file, such as `modelwright init` writes.',
        { place: { file: projectFileName } },
      )
    return utf8(await this.#repositories.readBlob(project, entry.blob, quarantine))
  }
}

const isRegular = ({ mode }: TreeEntry): boolean => mode === 'file' || mode === 'executable'

const isFile = (tree: readonly TreeEntry[], path: string): boolean =>
  tree.some((entry) => entry.path === path && isRegular(entry))

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new AppError('ConfigInvalid', `${projectFileName} is not UTF-8 text.`, 'Save it as UTF-8.', {
      cause,
      place: { file: projectFileName },
    })
  }
}

function refuseBadName(name: string): void {
  const problem = name.endsWith('.git')
    ? 'a name that ends with .git would be confusing in its address'
    : nameProblem(name)
  if (problem) throw new AppError('BadRequest', `"${name}" cannot name a project: ${problem}.`, 'Choose another name.')
}
