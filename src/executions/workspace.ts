import { mkdir, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ArtifactService } from '../artifacts/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError, messageOf } from '../kernel/errors.ts'
import type { KeyParts } from '../planning/index.ts'
import type { ObjectStore } from '../ports/object-store.ts'

type Parts = { objects: ObjectStore; artifacts: ArtifactService }

/** Where the files of one attempt lie. */
export type AttemptFolders = { dir: string; workspace: string; home: string; temporary: string }

export function attemptFolders(workDir: string, executionId: string, node: string, attempt: number): AttemptFolders {
  const dir = join(workDir, executionId, node, String(attempt))
  return { dir, workspace: join(dir, 'workspace'), home: join(dir, 'home'), temporary: join(dir, 'tmp') }
}

/** Where a model lies inside a workspace, relative to it. */
export const modelFolder = (name: string): string => join('.modelwright', 'models', name)

/** Lays out what a step declared, and nothing else; a half-laid workspace of a crash is thrown away first. */
export async function layOut(parts: Parts, folders: AttemptFolders, key: KeyParts): Promise<void> {
  await rm(folders.workspace, { recursive: true, force: true })
  await Promise.all(
    [folders.workspace, folders.home, folders.temporary].map((folder) => mkdir(folder, { recursive: true })),
  )
  for (const [path, content] of Object.entries(key.files)) {
    if (path.startsWith('model:')) await layOutModel(parts, folders, path.slice('model:'.length), content as Digest)
    else await layOutFile(parts, folders, path, content, key)
  }
  for (const out of key.outs) await mkdir(dirname(join(folders.workspace, out)), { recursive: true })
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
  await mkdir(dirname(target), { recursive: true })
  await parts.objects.materialise(digest, target, executable ? 0o755 : 0o644)
}

/** Takes each declared output in; paths in the trees are relative to the workspace. */
export async function collectOuts(
  parts: Parts,
  folders: AttemptFolders,
  step: string,
  outs: readonly string[],
): Promise<Record<string, Digest>> {
  const collected: Record<string, Digest> = {}
  for (const out of outs) {
    if (!(await stat(join(folders.workspace, out)).catch(() => undefined)))
      throw new AppError(
        'OutputMissing',
        `Step "${step}" ended well, but did not write "${out}".`,
        `Write it, or take it out of the step's outs.`,
      )
    const related = (path: string) => path === out || path.startsWith(`${out}/`) || out.startsWith(`${path}/`)
    collected[out] = (
      await parts.artifacts.storeFolder(folders.workspace, { exclude: (path) => !related(path) })
    ).digest
  }
  return collected
}

/** `metrics: FILE`: a JSON object of numbers that the step wrote; nested objects become `a.b`. */
export async function readMetricsFile(
  folders: AttemptFolders,
  path: string,
): Promise<Record<string, number> | undefined> {
  const text = await readFile(join(folders.workspace, path), 'utf8').catch(() => undefined)
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
