import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Problem, SourceFile } from './source.ts'

/** The path of a `file:` URI or a bare path on this machine; undefined for anything else. */
export function localPath(uri: string): string | undefined {
  if (uri.startsWith('file:')) {
    // Old versions wrote `file:/a` and left characters such as spaces as they are.
    const text = uri.replace(/^file:\/*(?=\/)/, 'file://').replace(/ /g, '%20')
    try {
      return fileURLToPath(text)
    } catch {
      return undefined
    }
  }
  return /^[a-zA-Z][\w+.-]*:/.test(uri) ? undefined : uri
}

export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false
}

/** Every file below a folder. Links are followed where they lead to a file; folders behind links, sockets and so on are told. */
export async function filesBelow(root: string, tell: (problem: Problem) => void): Promise<SourceFile[]> {
  const files: SourceFile[] = []
  const walk = async (folder: string): Promise<void> => {
    const entries = await readdir(join(root, folder), { withFileTypes: true })
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) await walk(path)
      else {
        const absolute = join(root, path)
        const facts = await stat(absolute).catch(() => undefined)
        if (facts?.isFile()) files.push({ path, size: facts.size, open: async () => createReadStream(absolute) })
        else tell({ place: absolute, reason: 'it is neither a file nor a folder' })
      }
    }
  }
  await walk('')
  return files
}
