import { copyFile, lstat, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { AppError } from '../kernel/errors.ts'
import type { Environment } from './context.ts'
import { type LocalGit, localGit, mustGit } from './local-git.ts'

export type Snapshot = {
  root: string
  commit: string
  /** The working tree is exactly HEAD, so HEAD itself is the snapshot. */
  clean: boolean
  branch: string | undefined
}

/**
 * The working tree as it is, as a commit beside the user's own: index, HEAD, branches and stash stay untouched. What
 * .gitignore names is left out; nothing of a merge or rebase under way is disturbed.
 */
export async function takeSnapshot(cwd: string, env: Environment, now: number): Promise<Snapshot> {
  const root = await repositoryRoot(localGit(cwd, env))
  const git = localGit(root, env)
  const head = await git('rev-parse', '--verify', '--quiet', 'HEAD^{commit}')
  const branch = (await git('symbolic-ref', '--quiet', '--short', 'HEAD')).out.trim() || undefined
  const parent = head.code === 0 ? head.out.trim() : undefined
  const tree = await treeOfWorkingCopy(root, git, env)
  if (parent && tree === (await mustGit(git, 'rev-parse', `${parent}^{tree}`)).trim())
    return { root, commit: parent, clean: true, branch }
  const message = `Working tree${branch ? ` on ${branch}` : ''} at ${new Date(now).toISOString()}`
  const author = await identity(git)
  const commit = await mustGit(
    localGit(root, { ...env, ...author }),
    'commit-tree',
    ...['--no-gpg-sign', tree, '-m', message, ...(parent ? ['-p', parent] : [])],
  )
  return { root, commit: commit.trim(), clean: false, branch }
}

const bigBytes = 50_000_000

/** Untracked files that a snapshot takes along and that were probably not meant: the server keeps what it was once given. */
export async function bigUntrackedFiles(root: string, env: Environment): Promise<{ path: string; bytes: number }[]> {
  const listed = await mustGit(localGit(root, env), 'ls-files', '--others', '--exclude-standard', '-z')
  const files = await Promise.all(
    listed
      .split('\0')
      .filter(Boolean)
      .map(async (path) => ({ path, bytes: (await lstat(join(root, path)).catch(() => undefined))?.size ?? 0 })),
  )
  return files.filter(({ bytes }) => bytes >= bigBytes)
}

async function repositoryRoot(git: LocalGit): Promise<string> {
  const { code, out } = await git('rev-parse', '--show-toplevel')
  if (code === 0) return out.replace(/\n$/, '')
  throw new AppError('NotFound', 'This folder is not in a Git repository.', 'Run `modelwright init` in your project.')
}

/** On a copy of the index: what Git knows of unchanged files there spares reading them again. */
async function treeOfWorkingCopy(root: string, git: LocalGit, env: Environment): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'modelwright-run-'))
  try {
    const index = resolve(root, (await mustGit(git, 'rev-parse', '--git-path', 'index')).trim())
    await copyFile(index, join(folder, 'index')).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
    const aside = localGit(root, { ...env, GIT_INDEX_FILE: join(folder, 'index') })
    await mustGit(aside, '-c', 'core.safecrlf=false', 'add', '--all')
    return (await mustGit(aside, 'write-tree')).trim()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A snapshot needs no name of a person; who runs it is known from the token. */
async function identity(git: LocalGit): Promise<Record<string, string>> {
  if ((await git('var', 'GIT_AUTHOR_IDENT')).code === 0 && (await git('var', 'GIT_COMMITTER_IDENT')).code === 0)
    return {}
  const name = 'modelwright run'
  const email = 'run@modelwright.invalid'
  return { GIT_AUTHOR_NAME: name, GIT_AUTHOR_EMAIL: email, GIT_COMMITTER_NAME: name, GIT_COMMITTER_EMAIL: email }
}

/** The token goes by the environment: a command line can be read by every process of the machine. */
const helper = `!f() { test "$1" = get && printf 'username=owner\\npassword=%s\\n' "$MODELWRIGHT_PUSH_TOKEN"; }; f`

/** Brings the snapshot to the server, under a ref that no branch shows. */
export async function pushSnapshot(
  snapshot: Snapshot,
  to: { server: string; project: string; token: string | undefined },
  env: Environment,
): Promise<void> {
  const git = localGit(snapshot.root, {
    ...env,
    GIT_TERMINAL_PROMPT: '0',
    ...(to.token ? { MODELWRIGHT_PUSH_TOKEN: to.token } : {}),
  })
  const { code, err } = await git(
    ...['-c', 'credential.helper=', '-c', `credential.${to.server}.helper=`],
    ...(to.token ? ['-c', `credential.${to.server}.helper=${helper}`] : []),
    ...['push', '--quiet', '--no-verify', '--no-recurse-submodules'],
    `${to.server}/git/${encodeURIComponent(to.project)}.git`,
    `${snapshot.commit}:refs/modelwright/snapshots/${snapshot.commit}`,
  )
  if (code === 0) return
  const said = err
    .split('\n')
    .filter((line) => line.startsWith('remote:'))
    .map((line) => line.replace(/^remote:\s?/, '').trimEnd())
    .filter(Boolean)
  throw new AppError(
    'Conflict',
    `The working tree could not be sent to ${to.server}: ${said.length > 0 ? said.join('\n') : err.trim()}`,
    'Mend that, then run again.',
  )
}
