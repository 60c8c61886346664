import { lstat, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { RepositoryFile } from '../projects/index.ts'
import { type LocalGit, mustGit } from './local-git.ts'

const mostFiles = 20_000
const mostTexts = 500
const mostBytes = 256 * 1024

/** Of data only the head is read: the names of its columns. */
const headBytes = 64 * 1024

const madeByTools = /(^|\/)(node_modules|\.venv|venv|env|__pycache__|site-packages|\.modelwright|mlruns)\//
const readable = /(^|\/)(dvc\.yaml|params\.yaml|pyproject\.toml|requirements[^/]*\.txt)$|\.py$|^data\/.*\.csv$/i

/** What Git knows or would take of a working copy (ignored files never), with the text of the small files that tell something. */
export async function repositoryFiles(root: string, git: LocalGit): Promise<RepositoryFile[]> {
  const listed = await mustGit(git, 'ls-files', '-z', '--cached', '--others', '--exclude-standard')
  const paths = [...new Set(listed.split('\0'))]
    .filter((path) => path !== '' && !madeByTools.test(path))
    .slice(0, mostFiles)
  // Shallow ones first: what describes a repository lies near its root.
  const telling = paths.filter((path) => readable.test(path)).sort((a, b) => depth(a) - depth(b))
  const texts = new Map<string, string>()
  for (const path of telling.slice(0, mostTexts)) {
    const text = await textOf(join(root, path))
    if (text !== undefined) texts.set(path, text)
  }
  return paths.map((path) => ({ path, ...(texts.has(path) ? { text: texts.get(path)! } : {}) }))
}

const depth = (path: string): number => path.split('/').length

/** Undefined for what is no plain file, is gone, or is too large to be worth reading. */
async function textOf(path: string): Promise<string | undefined> {
  const facts = await lstat(path).catch(() => undefined)
  const isData = path.toLowerCase().endsWith('.csv')
  if (!facts?.isFile() || (!isData && facts.size > mostBytes)) return undefined
  const handle = await open(path).catch(() => undefined)
  if (!handle) return undefined
  try {
    const buffer = Buffer.alloc(Math.min(facts.size, isData ? headBytes : mostBytes))
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0)
    return buffer.subarray(0, bytesRead).toString('utf8')
  } finally {
    await handle.close()
  }
}
