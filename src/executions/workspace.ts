import { type Dirent, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ArtifactService } from '../artifacts/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError, messageOf } from '../kernel/errors.ts'
import type { CommitId } from '../kernel/ids.ts'
import type { KeyParts } from '../planning/index.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { Repositories, TreeEntry } from '../ports/repository.ts'

type Parts = { objects: ObjectStore; artifacts: ArtifactService }

/** Where the files of one attempt lie; `notes` is what the bootstrap writes beside the workspace. */
export type AttemptFolders = { dir: string; workspace: string; home: string; temporary: string; notes: string }

export function attemptFolders(workDir: string, executionId: string, node: string, attempt: number): AttemptFolders {
  const dir = join(workDir, executionId, node, String(attempt))
  return {
    dir,
    workspace: join(dir, 'workspace'),
    home: join(dir, 'home'),
    temporary: join(dir, 'tmp'),
    notes: join(dir, 'notes'),
  }
}

/** Where a model lies inside a workspace, relative to it. */
export const modelFolder = (name: string): string => join('.modelwright', 'models', name)

/** Lays out what a step declared, over what lies `below` it; a half-laid workspace of a crash is thrown away first. */
export async function layOut(
  parts: Parts,
  folders: AttemptFolders,
  key: KeyParts,
  below: () => Promise<void>,
): Promise<void> {
  // At once where it is only a few calls: the ways to a thread and back take longer than what is done there.
  if (mkdirSync(folders.workspace, { recursive: true }) === undefined) {
    await removeFolder(folders.workspace)
    mkdirSync(folders.workspace)
  }
  for (const folder of [folders.home, folders.temporary, folders.notes]) mkdirSync(folder, { recursive: true })
  await below()
  for (const [path, content] of Object.entries(key.files)) {
    if (path.startsWith('model:')) await layOutModel(parts, folders, path.slice('model:'.length), content as Digest)
    else await layOutFile(parts, folders, path, content, key)
  }
  for (const out of key.outs) mkdirSync(dirname(join(folders.workspace, out)), { recursive: true })
}

/** `isolated: false`: all of the commit, as a checkout has it; what is declared is laid over it. */
export async function layOutCheckout(
  repositories: Pick<Repositories, 'tree' | 'readBlob'>,
  { project, commit }: { project: string; commit: CommitId },
  { workspace }: AttemptFolders,
): Promise<void> {
  const entries = await repositories.tree(project, commit)
  for (let from = 0; from < entries.length; from += filesAtOnce)
    await Promise.all(
      entries.slice(from, from + filesAtOnce).map((entry) => layOutEntry(repositories, project, entry, workspace)),
    )
}

const filesAtOnce = 16

async function layOutEntry(
  repositories: Pick<Repositories, 'readBlob'>,
  project: string,
  { path, mode, blob }: TreeEntry,
  workspace: string,
): Promise<void> {
  const target = join(workspace, path)
  // A submodule's commit is not kept here: its folder is there and empty, as in a clone without it.
  await mkdir(mode === 'submodule' ? target : dirname(target), { recursive: true })
  if (mode === 'submodule') return
  const bytes = await repositories.readBlob(project, blob)
  await rm(target, { force: true })
  if (mode === 'symlink') await symlink(Buffer.from(bytes).toString('utf8'), target)
  else await writeFile(target, bytes).then(() => chmod(target, mode === 'executable' ? 0o755 : 0o644))
}

/**
 * Checkpoints go from the attempt that left them to this one: moved, and first to a place beside the workspace, so that a crash while
 * the workspace is laid out loses nothing. `attempts`: this one first, then the earlier ones, the newest first.
 */
export async function takeCheckpoints(folder: string, attempts: readonly AttemptFolders[]): Promise<void> {
  const aside = join(attempts[0]!.dir, 'checkpoints')
  if (await isThere(aside)) return
  await mkdir(attempts[0]!.dir, { recursive: true })
  for (const { workspace, dir } of attempts)
    for (const left of [join(workspace, folder), join(dir, 'checkpoints')])
      if (left !== aside && (await isThere(left)) && (await readdir(left)).length > 0) return rename(left, aside)
}

/** After the workspace was laid out; the folder is there also where nothing was left. */
export async function putCheckpoints(folder: string, { dir, workspace }: AttemptFolders): Promise<void> {
  const target = join(workspace, folder)
  await mkdir(dirname(target), { recursive: true })
  const aside = join(dir, 'checkpoints')
  if (!(await isThere(aside))) return void (await mkdir(target, { recursive: true }))
  await rm(target, { recursive: true, force: true })
  await rename(aside, target)
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** Files of the workspace that are neither what was laid out nor under one of the paths: what is thrown away without having been declared. */
export function strayFiles({ workspace }: AttemptFolders, known: readonly string[], most: number): string[] {
  const exact = new Set(known)
  const above = new Set(known.flatMap((path) => path.split('/').map((_, end, parts) => parts.slice(0, end).join('/'))))
  const found: string[] = []
  const walk = (folder: string): void => {
    const entries = listed(join(workspace, folder))
    if (entries === undefined) found.push(folder)
    for (const entry of entries ?? []) {
      const path = folder ? `${folder}/${entry.name}` : entry.name
      if (found.length >= most) return
      if (exact.has(path) || entry.name === '__pycache__' || entry.name.startsWith('.')) continue
      if (entry.isDirectory()) walk(path)
      else if (!above.has(path)) found.push(path)
    }
  }
  walk('')
  return found
}

/** Undefined of a folder that the step closed to everybody, or whose name is no UTF-8. */
function listed(folder: string): Dirent[] | undefined {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return undefined
  }
}

/** Also one that its step made read-only or unreadable (Go's module cache is), or in which names are no UTF-8. */
export async function removeFolder(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true })
  } catch {
    await removeStubborn(Buffer.from(folder))
  }
}

const fewFiles = 16

/** Those in which next to nothing is; the others stay for whoever removes what is left. */
export async function removeSmall(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    try {
      // A link that the step put in its place leads to files of somebody else.
      if (!(await lstat(folder)).isDirectory()) continue
      const entries = await readdir(folder, { withFileTypes: true })
      if (entries.length > fewFiles || entries.some((entry) => entry.isDirectory())) continue
      for (const { name } of entries) await unlink(join(folder, name))
      await rmdir(folder)
    } catch {
      // Gone already, closed to us, or not what it looked like.
    }
  }
}

async function removeStubborn(path: Buffer): Promise<void> {
  if (!(await lstat(path)).isDirectory()) return unlink(path)
  await chmod(path, 0o700)
  for (const name of await readdir(path, { encoding: 'buffer' }))
    await removeStubborn(Buffer.concat([path, Buffer.from('/'), name]))
  await rmdir(path)
}

async function layOutModel(parts: Parts, folders: AttemptFolders, name: string, tree: Digest): Promise<void> {
  await parts.artifacts.materialiseTree(tree, join(folders.workspace, modelFolder(name)))
}

/** A file of the commit is a file's digest; what another step wrote is a tree's. */
async function layOutFile(
  parts: Parts,
  folders: AttemptFolders,
  path: string,
  content: string,
  key: KeyParts,
): Promise<void> {
  const [digest, executable] = content.split(' ') as [Digest, string | undefined]
  if (key.trees.includes(path)) {
    await parts.artifacts.materialiseTree(digest, folders.workspace)
    return
  }
  const target = join(folders.workspace, path)
  mkdirSync(dirname(target), { recursive: true })
  await parts.objects.materialise(digest, target, executable ? 0o755 : 0o644)
}

/**
 * Takes each declared output in; paths in the trees are relative to the workspace. What a loss of power takes of it is made again: the
 * planner looks whether a result is whole.
 */
export async function collectOuts(
  parts: Parts,
  folders: AttemptFolders,
  step: string,
  outs: readonly string[],
): Promise<Record<string, Digest>> {
  const collected: Record<string, Digest> = {}
  for (const out of outs) {
    if (!statSync(join(folders.workspace, out), { throwIfNoEntry: false }))
      throw new AppError(
        'OutputMissing',
        `Step "${step}" ended well, but did not write "${out}".`,
        `Write it, or take it out of the step's outs.`,
      )
    const related = (path: string) => path === out || path.startsWith(`${out}/`) || out.startsWith(`${path}/`)
    collected[out] = (
      await parts.artifacts.storeFolder(folders.workspace, { exclude: (path) => !related(path), durable: 'soon' })
    ).digest
  }
  return collected
}

/** `metrics: FILE`: a JSON object of numbers that the step wrote; nested objects become `a.b`. */
export async function readMetricsFile(
  folders: AttemptFolders,
  path: string,
): Promise<Record<string, number> | undefined> {
  const file = join(folders.workspace, path)
  const text = existsSync(file) ? await readFile(file, 'utf8').catch(() => undefined) : undefined
  if (text === undefined) return undefined
  const metrics: Record<string, number> = {}
  const walk = (value: unknown, name: string): void => {
    if (typeof value === 'number') metrics[name] = value
    else if (typeof value === 'object' && value !== null)
      for (const [key, inner] of Object.entries(value)) walk(inner, name ? `${name}.${key}` : key)
  }
  try {
    walk(JSON.parse(text), '')
  } catch (cause) {
    throw new AppError(
      'OutputMissing',
      `The metrics file "${path}" is not JSON: ${messageOf(cause)}.`,
      'Write one JSON object of numbers; NaN and Infinity have no JSON form.',
      { cause },
    )
  }
  return metrics
}
