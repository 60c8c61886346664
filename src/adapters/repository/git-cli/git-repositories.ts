import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, bug } from '../../../kernel/errors.ts'
import type { CommitId } from '../../../kernel/ids.ts'
import type { CommitInfo, FileCommit, Quarantine, Repositories, TreeEntry } from '../../../ports/repository.ts'
import { type GitOptions, type GitResult, gitEnvironment, gitSettings, runGit } from './git.ts'
import { checkBranchName, checkRepositoryName, isObjectId, isObjectIdOrPrefix } from './git-names.ts'
import { type GitObject, ObjectReader } from './object-reader.ts'
import { parseCommit } from './parse-commit.ts'
import { parseTree } from './parse-tree.ts'

export type GitCliOptions = {
  /** The folder that holds the bare repositories. */
  root: string
  gitPath?: string
  /** Where git finds its own helpers. */
  path?: string
  /** How long a reading process stays after the last question. */
  idleMs?: number
}

const noObject = '0'.repeat(40)

/** Bare repositories read and written through the `git` program, which must be 2.28 or later. */
export class GitRepositories implements Repositories {
  readonly #root: string
  readonly #gitPath: string
  readonly #env: Record<string, string>
  readonly #idleMs: number
  readonly #readers = new Map<string, ObjectReader>()

  constructor(options: GitCliOptions) {
    this.#root = options.root
    this.#gitPath = options.gitPath ?? 'git'
    this.#env = gitEnvironment(options.path ?? '/usr/local/bin:/usr/bin:/bin')
    this.#idleMs = options.idleMs ?? 10_000
  }

  async create(name: string): Promise<void> {
    const path = this.path(name)
    await mkdir(this.#root, { recursive: true })
    // No template: no sample hooks, nothing of the machine's.
    const args = ['init', '--bare', '--quiet', '--template=', '--initial-branch=main', path]
    this.#succeeded(
      await runGit(this.#gitPath, { args, cwd: this.#root, env: this.#env }),
      `make the repository ${name}`,
    )
    for (const [key, value] of repositorySettings) await this.#write(name, ['config', key, value])
  }

  path(name: string): string {
    checkRepositoryName(name)
    return join(this.#root, `${name}.git`)
  }

  async head(name: string, branch: string): Promise<CommitId | undefined> {
    checkBranchName(branch)
    const commit = await this.#object(name, `refs/heads/${branch}^{commit}`)
    return commit?.id as CommitId | undefined
  }

  async branches(name: string): Promise<{ branch: string; head: CommitId }[]> {
    const text = await this.#text(name, ['for-each-ref', '--format=%(objectname) %(refname:lstrip=2)', 'refs/heads/'])
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => ({
        head: line.slice(0, line.indexOf(' ')) as CommitId,
        branch: line.slice(line.indexOf(' ') + 1),
      }))
  }

  async commit(name: string, id: string, quarantine?: Quarantine): Promise<CommitInfo> {
    const object = isObjectIdOrPrefix(id) ? await this.#object(name, `${id}^{commit}`, quarantine) : undefined
    if (!object) throw unknown(name, `commit ${id}`)
    return parseCommit(object.id, object.content)
  }

  async tree(name: string, commit: CommitId, quarantine?: Quarantine): Promise<TreeEntry[]> {
    await this.#mustBeCommit(name, commit, quarantine)
    const args = ['ls-tree', '-r', '-z', '-l', '--full-tree', commit]
    const result = await this.#git(name, { args, env: quarantineEnvironment(this.path(name), quarantine) })
    return parseTree(this.#succeeded(result, `list the files of ${commit}`).stdout)
  }

  async readFile(name: string, commit: CommitId, path: string, quarantine?: Quarantine): Promise<Uint8Array> {
    const object = isObjectId(commit) ? await this.#fileObject(name, commit, path, quarantine) : undefined
    if (object?.type !== 'blob') throw unknown(name, `file ${path} in commit ${commit}`)
    return object.content
  }

  async readBlob(name: string, blob: string, quarantine?: Quarantine): Promise<Uint8Array> {
    const object = isObjectId(blob) ? await this.#object(name, blob, quarantine) : undefined
    if (object?.type !== 'blob') throw unknown(name, `blob ${blob}`)
    return object.content
  }

  async log(name: string, from: CommitId, options: { until?: CommitId; limit: number }): Promise<CommitInfo[]> {
    const ends = options.until === undefined ? [from] : [from, options.until]
    for (const end of ends) await this.#mustBeCommit(name, end)
    const range = options.until === undefined ? [from] : [from, `^${options.until}`]
    const ids = await this.#text(name, ['rev-list', `--max-count=${Math.max(0, Math.floor(options.limit))}`, ...range])
    return Promise.all(
      ids
        .split('\n')
        .filter(Boolean)
        .map((id) => this.commit(name, id)),
    )
  }

  async isAncestor(name: string, ancestor: CommitId, descendant: CommitId): Promise<boolean> {
    for (const end of [ancestor, descendant]) await this.#mustBeCommit(name, end)
    const result = await this.#git(name, { args: ['merge-base', '--is-ancestor', ancestor, descendant] })
    if (result.code === 0 || result.code === 1) return result.code === 0
    throw bug(`git merge-base: ${result.stderr}`)
  }

  async commitFiles(name: string, change: FileCommit): Promise<CommitId | 'moved'> {
    checkBranchName(change.branch)
    for (const file of change.files) checkTreePath(file.path)
    const parent = change.expectedHead ?? change.base
    await this.#mustBeCommit(name, parent)
    const tree = await this.#treeWith(name, parent, change.files)
    const commit = await this.#writeCommit(name, tree, parent, change)
    // The same intent carried out again after a crash finds its own commit there.
    if ((await this.head(name, change.branch)) === commit) return commit
    const ref = `refs/heads/${change.branch}`
    const args = ['update-ref', '-m', 'modelwright', ref, commit, change.expectedHead ?? noObject]
    const updated = await this.#git(name, { args })
    if (updated.code === 0) return commit
    const head = await this.head(name, change.branch)
    if (head !== change.expectedHead) return head === commit ? commit : 'moved'
    throw diskOrBug(updated, `move ${change.branch}`)
  }

  async deleteBranch(name: string, branch: string): Promise<void> {
    checkBranchName(branch)
    await this.#write(name, ['update-ref', '-d', `refs/heads/${branch}`])
  }

  /** Ends the reading processes. The next question starts them again. */
  close(): void {
    for (const reader of this.#readers.values()) reader.close()
    this.#readers.clear()
  }

  async #treeWith(name: string, parent: CommitId, files: FileCommit['files']): Promise<string> {
    const index = join(this.path(name), `modelwright-index-${randomUUID()}`)
    const env = { GIT_INDEX_FILE: index }
    try {
      await this.#write(name, ['read-tree', parent], { env })
      const executable = await this.#executablePaths(name, env, files)
      const lines: string[] = []
      for (const file of files) {
        const blob = await this.#write(name, ['hash-object', '-w', '--stdin'], { input: file.content })
        lines.push(`${executable.has(file.path) ? '100755' : '100644'} ${blob}\t${file.path}\0`)
      }
      await this.#write(name, ['update-index', '-z', '--replace', '--index-info'], { env, input: lines.join('') })
      return await this.#write(name, ['write-tree'], { env })
    } finally {
      await rm(index, { force: true })
      await rm(`${index}.lock`, { force: true })
    }
  }

  async #executablePaths(name: string, env: Record<string, string>, files: FileCommit['files']): Promise<Set<string>> {
    const paths = files.map((file) => `:(literal)${file.path}`)
    const listed = await this.#write(name, ['ls-files', '-z', '--stage', '--', ...paths], { env })
    return new Set(
      listed
        .split('\0')
        .filter((line) => line.startsWith('100755'))
        .map((line) => line.slice(line.indexOf('\t') + 1)),
    )
  }

  async #writeCommit(name: string, tree: string, parent: CommitId, change: FileCommit): Promise<CommitId> {
    // The @ makes any number of seconds a date; without it small ones are refused.
    const date = `@${Math.floor(change.at / 1000)} +0000`
    const env = {
      GIT_AUTHOR_NAME: change.author.name,
      GIT_AUTHOR_EMAIL: change.author.email,
      GIT_AUTHOR_DATE: date,
      GIT_COMMITTER_NAME: change.author.name,
      GIT_COMMITTER_EMAIL: change.author.email,
      GIT_COMMITTER_DATE: date,
    }
    const args = ['-c', 'i18n.commitEncoding=UTF-8', 'commit-tree', tree, '-p', parent]
    return (await this.#write(name, args, { env, input: change.message })) as CommitId
  }

  async #mustBeCommit(name: string, id: string, quarantine?: Quarantine): Promise<void> {
    const object = isObjectId(id) ? await this.#object(name, id, quarantine) : undefined
    if (object?.type !== 'commit') throw unknown(name, `commit ${id}`)
  }

  async #fileObject(name: string, commit: CommitId, path: string, quarantine?: Quarantine) {
    // `COMMIT:./x` would mean a path relative to the working folder, and a line break would end the question.
    if (!/^\.{0,2}\/|\n|\0/.test(path)) return this.#object(name, `${commit}:${path}`, quarantine)
    const entry = (await this.tree(name, commit, quarantine)).find((one) => one.path === path)
    return entry && entry.mode !== 'submodule' ? this.#object(name, entry.blob, quarantine) : undefined
  }

  #object(name: string, request: string, quarantine?: Quarantine): Promise<GitObject | undefined> {
    const cwd = this.#existing(name)
    const key = `${name}\0${quarantine?.objectDirectory ?? ''}\0${quarantine?.alternates ?? ''}`
    let reader = this.#readers.get(key)
    if (!reader) {
      const env = { ...this.#env, ...quarantineEnvironment(cwd, quarantine) }
      // A quarantine is gone soon, so its reader is not kept.
      const idleMs = quarantine ? Math.min(1000, this.#idleMs) : this.#idleMs
      const onIdle = () => this.#readers.delete(key)
      reader = new ObjectReader({ gitPath: this.#gitPath, args: gitSettings(cwd), cwd, env, idleMs, onIdle })
      this.#readers.set(key, reader)
    }
    return reader.read(request)
  }

  #existing(name: string): string {
    const path = this.path(name)
    if (existsSync(join(path, 'HEAD'))) return path
    throw new AppError('NotFound', `There is no repository ${name}.`, 'Create it first.')
  }

  #git(name: string, options: Omit<GitOptions, 'cwd'>): Promise<GitResult> {
    const cwd = this.#existing(name)
    const args = [...gitSettings(cwd), ...options.args]
    return runGit(this.#gitPath, { ...options, args, cwd, env: { ...this.#env, ...options.env } })
  }

  async #text(name: string, args: string[]): Promise<string> {
    return this.#succeeded(await this.#git(name, { args }), args[0]!).stdout.toString()
  }

  async #write(name: string, args: string[], more: Partial<GitOptions> = {}): Promise<string> {
    const result = this.#succeeded(await this.#git(name, { ...more, args }), `git ${args[0]}`)
    return result.stdout.toString().trimEnd()
  }

  #succeeded(result: GitResult, what: string): GitResult {
    if (result.code !== 0) throw diskOrBug(result, what)
    return result
  }
}

/** Objects that a push brings are checked; a commit is on the disk when it is acknowledged; no gc in the background. */
const repositorySettings: [string, string][] = [
  ['core.fsync', 'committed,reference'],
  ['core.fsyncMethod', 'fsync'],
  ['receive.fsckObjects', 'true'],
  ['gc.autoDetach', 'false'],
]

function quarantineEnvironment(repository: string, quarantine: Quarantine | undefined): Record<string, string> {
  if (!quarantine) return {}
  return {
    GIT_OBJECT_DIRECTORY: quarantine.objectDirectory,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: quarantine.alternates ?? join(repository, 'objects'),
  }
}

function checkTreePath(path: string): void {
  const parts = path.split('/')
  if (!path.includes('\0') && parts.every((part) => !['', '.', '..'].includes(part) && part.toLowerCase() !== '.git'))
    return
  throw new AppError(
    'BadRequest',
    `${JSON.stringify(path)} is no path for a file in a repository.`,
    'Name a file inside.',
  )
}

const unknown = (name: string, what: string): AppError =>
  new AppError('NotFound', `Repository ${name} has no ${what}.`, 'Push it first, or check the name.')

const diskOrBug = (result: GitResult, what: string): AppError =>
  /No space left on device|Disk quota exceeded/.test(result.stderr)
    ? new AppError('StorageFull', `The disk is full: git could not ${what}.`, 'Free some space, then try again.')
    : bug(`git could not ${what} (exit ${result.code}): ${result.stderr}`)
