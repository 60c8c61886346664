import { AppError } from '../../kernel/errors.ts'
import type { TreeFile, TreeManifest } from '../artifact.ts'
import { isUnder, safeArtifactPath } from './artifact-path.ts'

/**
 * One manifest for one content: sorted by path (code units), an absent flag instead of a false one.
 * Throws BadRequest for an unsafe path, a path twice, or a path that is a file and a folder at once.
 */
export function treeOf(files: readonly TreeFile[]): TreeManifest {
  const sorted = files.map(plainFile).sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
  const paths = new Set(sorted.map((file) => file.path))
  if (paths.size < sorted.length) throw unusable('a path is named twice')
  for (const { path } of sorted) {
    if (path === '' || safeArtifactPath(path) !== path)
      throw unusable(`${JSON.stringify(path)} is no safe relative path`)
    for (const folder of foldersOf(path)) if (paths.has(folder)) throw unusable(`"${folder}" is a file and a folder`)
  }
  return { files: sorted }
}

/** The files under a folder, named from there on. */
export function subtree(tree: TreeManifest, folder: string): TreeManifest {
  const inside = tree.files.filter((file) => isUnder(file.path, folder))
  if (folder === '') return tree
  return { files: inside.map((file) => ({ ...file, path: file.path.slice(folder.length + 1) })) }
}

/** The part of a tree that a list of files and folders names. */
export const onlyUnder = (tree: TreeManifest, only: readonly string[]): TreeManifest => ({
  files: tree.files.filter((file) => only.some((wanted) => file.path === wanted || isUnder(file.path, wanted))),
})

/** `a/b/c` → `a`, `a/b`. */
export function foldersOf(path: string): string[] {
  const segments = path.split('/')
  return segments.slice(1).map((_, index) => segments.slice(0, index + 1).join('/'))
}

const plainFile = ({ path, digest, size, executable }: TreeFile): TreeFile => ({
  path,
  digest,
  size,
  ...(executable ? { executable } : {}),
})

const unusable = (reason: string): AppError =>
  new AppError('BadRequest', `The folder cannot be kept: ${reason}.`, 'Rename the file and try again.')
