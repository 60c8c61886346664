import { parse } from 'yaml'
import { z } from 'zod'
import { AppError } from '../../kernel/errors.ts'
import { folderOf, repositoryPath } from './python-starts.ts'

/** A file, or a folder as a listing of its files, that DVC keeps outside of Git. */
export type DvcPointer = { path: string; md5: string; isFolder: boolean }

const md5 = z.string().regex(/^[0-9a-f]{32}(\.dir)?$/)
const pointerSchema = z.object({
  wdir: z.string().optional(),
  outs: z.array(z.object({ path: z.string(), md5 })).min(1),
})
const listingSchema = z.array(z.object({ md5, relpath: z.string(), isexec: z.boolean().optional() }))

/** What a `.dvc` file points to; nothing where it is none (a name that only ends so) or one without MD5 (cloud versioning, older hashes). */
export function readDvcPointer(pointerPath: string, text: string): DvcPointer[] {
  let written: unknown
  try {
    written = parse(text, { maxAliasCount: 10, logLevel: 'silent' })
  } catch {
    return []
  }
  const read = pointerSchema.safeParse(written)
  if (!read.success) return []
  const base = repositoryPath(folderOf(pointerPath), read.data.wdir ?? '.') ?? folderOf(pointerPath)
  return read.data.outs.flatMap((out) => {
    const path = repositoryPath(base, out.path)
    return path ? [{ path, md5: out.md5, isFolder: out.md5.endsWith('.dir') }] : []
  })
}

/** The files of a folder, from the JSON that DVC keeps under its `.dir` hash. */
export function readDvcListing(folder: string, text: string): (DvcPointer & { executable: boolean })[] {
  return listingSchema.parse(JSON.parse(text)).flatMap((file) => {
    const path = repositoryPath(folder, file.relpath)
    return path ? [{ path, md5: file.md5, isFolder: false, executable: file.isexec ?? false }] : []
  })
}

/**
 * The address of the default remote, from the text of `.dvc/config` (an INI file: `[core] remote = name`, `['remote "name"'] url = …`).
 * @throws AppError DependencyMissing where none is named, NotYetSupported for one that is no folder by its whole path.
 */
export function dvcRemoteFolder(config: string | undefined): string {
  const sections = new Map<string, Map<string, string>>()
  let section = new Map<string, string>()
  for (const line of (config ?? '').split('\n').map((one) => one.trim())) {
    const head = /^\[(.*)\]$/.exec(line)
    const entry = /^([\w-]+)\s*=\s*(.*)$/.exec(line)
    if (head) {
      section = new Map()
      sections.set(head[1]!.replaceAll(/^'|'$/g, ''), section)
    } else if (entry && !/^[#;]/.test(line)) section.set(entry[1]!, entry[2]!.replaceAll(/^(["'])(.*)\1$/g, '$2'))
  }
  const name = sections.get('core')?.get('remote')
  const url = name === undefined ? undefined : sections.get(`remote "${name}"`)?.get('url')
  if (url === undefined)
    throw new AppError(
      'DependencyMissing',
      'The commit has files that DVC keeps, but no .dvc/config that names a default remote.',
      'Name one (dvc remote add -d NAME /a/folder), and commit .dvc/config.',
    )
  const folder = url.replace(/^file:\/\//, '')
  if (folder.startsWith('/')) return folder
  throw new AppError(
    'NotYetSupported',
    `The DVC remote "${url}" is no folder by its whole path, and no other is read by this version.`,
    'Use a folder that the server can read (dvc remote add -d NAME /a/folder), or keep the file in Git.',
  )
}
