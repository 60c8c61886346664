import type { Dirent } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { AppError } from '../kernel/errors.ts'

export type FolderFile = { path: string; absolute: string; executable: boolean }

export type FolderOptions = {
  /** Relative paths (files or folders) to leave out. */
  exclude?: (path: string) => boolean
}

/**
 * Every regular file below `dir`. A symlink is followed if it ends inside `dir` (its content is taken), else refused:
 * a link out of the folder would take in files that nobody declared. Sockets, pipes and devices are refused.
 */
export async function filesBelow(dir: string, options: FolderOptions = {}): Promise<FolderFile[]> {
  const root = await realpath(dir)
  const found: FolderFile[] = []
  await walk({ root, folder: root, prefix: '', within: [root], options, found })
  return found
}

type Walk = {
  root: string
  folder: string
  prefix: string
  /** The real folders that lead here: a link back to one of them would never end. */
  within: string[]
  options: FolderOptions
  found: FolderFile[]
}

async function walk(at: Walk): Promise<void> {
  for (const entry of await readdir(at.folder, { withFileTypes: true })) {
    const path = at.prefix + entry.name
    if (at.options.exclude?.(path)) continue
    const target = await targetOf(at, entry, path)
    const { isFolder, isFile, executable } = await kindOf(target, entry)
    if (isFolder) {
      if (at.within.includes(target)) throw refused(path, 'is a link to a folder that holds it')
      await walk({ ...at, folder: target, prefix: `${path}/`, within: [...at.within, target] })
    } else if (isFile) at.found.push({ path, absolute: target, executable })
    else throw refused(path, 'is neither a file nor a folder')
  }
}

async function targetOf(at: Walk, entry: Dirent, path: string): Promise<string> {
  const absolute = join(at.folder, entry.name)
  if (!entry.isSymbolicLink()) return absolute
  const target = await realpath(absolute).catch(() => undefined)
  if (target === undefined) throw refused(path, 'is a link that leads nowhere')
  const inside = relative(at.root, target)
  if (inside === '..' || inside.startsWith(`..${sep}`)) throw refused(path, 'is a link that leaves the folder')
  return target
}

async function kindOf(target: string, entry: Dirent) {
  if (entry.isDirectory()) return { isFolder: true, isFile: false, executable: false }
  const facts = await stat(target)
  return { isFolder: facts.isDirectory(), isFile: facts.isFile(), executable: (facts.mode & 0o111) !== 0 }
}

const refused = (path: string, reason: string): AppError =>
  new AppError('BadRequest', `"${path}" ${reason}.`, 'Replace it by the file itself, or leave it out.')
