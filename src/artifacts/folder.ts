import { type Dirent, readdirSync, realpathSync, statSync } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { mayDoAtOnce } from '../files/at-once.ts'
import { AppError } from '../kernel/errors.ts'

export type FolderFile = { path: string; absolute: string; executable: boolean }

export type FolderOptions = {
  /** Relative paths (files or folders) to leave out. */
  exclude?: (path: string) => boolean
}

/**
 * Every regular file below `dir`. A symlink is followed if it ends inside `dir` (its content is taken), else refused:
 * a link out of the folder would take in files that nobody declared. Sockets, pipes and devices are refused, and so is what
 * cannot be read and what has a name that no text can say.
 */
export async function filesBelow(dir: string, options: FolderOptions = {}): Promise<FolderFile[]> {
  const root = mayDoAtOnce() ? realpathSync.native(dir) : await realpath(dir)
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
  for (const entry of await orRefused(entriesOf(at.folder), at.prefix.slice(0, -1))) {
    const path = at.prefix + entry.name
    if (at.options.exclude?.(path)) continue
    const target = await targetOf(at, entry, path)
    const { isFolder, isFile, executable } = await orRefused(kindOf(target, entry), path)
    if (isFolder) {
      if (at.within.includes(target)) throw refused(path, 'is a link to a folder that holds it')
      await walk({ ...at, folder: target, prefix: `${path}/`, within: [...at.within, target] })
    } else if (isFile) at.found.push({ path, absolute: target, executable })
    else throw refused(path, 'is neither a file nor a folder')
  }
}

const entriesOf = async (folder: string): Promise<Dirent[]> =>
  mayDoAtOnce() ? readdirSync(folder, { withFileTypes: true }) : readdir(folder, { withFileTypes: true })

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
  const facts = mayDoAtOnce() ? statSync(target) : await stat(target)
  return { isFolder: facts.isDirectory(), isFile: facts.isFile(), executable: (facts.mode & 0o111) !== 0 }
}

/** What lies in a user's folder and cannot be taken in is for its owner to mend. */
export async function orRefused<T>(reading: Promise<T>, path: string): Promise<T> {
  try {
    return await reading
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EACCES')
      throw new AppError('BadRequest', `"${path}" cannot be read.`, 'Let its owner read it, or leave it out.', {
        cause: error,
      })
    // So Node shows bytes that are no text, and then finds nothing under that name.
    if (code === 'ENOENT' && path.includes('\u{fffd}'))
      throw new AppError('BadRequest', `"${path}" has a name that is not UTF-8.`, 'Name it in UTF-8, or leave it out.')
    throw error
  }
}

const refused = (path: string, reason: string): AppError =>
  new AppError('BadRequest', `"${path}" ${reason}.`, 'Replace it by the file itself, or leave it out.')
