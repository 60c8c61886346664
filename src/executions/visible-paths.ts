import { existsSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { AttemptFolders } from './workspace.ts'

export type VisibleFacts = {
  folders: AttemptFolders
  /** The `bin` folder of the step's Python environment. */
  binPath?: string
  bootstrapPath: string
  /** The whole environment of the command. */
  variables: Readonly<Record<string, string>>
  caches: readonly string[]
}

/**
 * What a step needs to see of the machine, wherever it lies: its own folders, its Python with the interpreter that stands behind it,
 * the programs on its path with what is installed beside them (`~/.cargo/bin` needs `~/.cargo`), declared caches, and each file or
 * folder that one of its variables names; some may not be there.
 */
export function visiblePaths({ folders, binPath, bootstrapPath, variables, caches }: VisibleFacts): string[] {
  const named = Object.entries(variables)
    .flatMap(([name, value]) => (name === 'PATH' ? programFolders(value) : value.split(':')))
    .filter(isBelowRoot)
  return [
    ...[folders.workspace, folders.home, folders.temporary, folders.notes],
    ...(binPath ? [dirname(binPath), ...interpreterOf(binPath)] : []),
    dirname(bootstrapPath),
    ...caches,
    ...named,
  ]
}

/** Of a PATH, `/home/u/.cargo/bin` → it and `/home/u/.cargo`. Of `/home/u/bin` the home stays hidden: what is both hidden and visible is hidden. */
export const programFolders = (searchPath: string): string[] =>
  searchPath
    .split(':')
    .flatMap((entry) => [entry, dirname(entry)])
    .filter(isBelowRoot)

const isBelowRoot = (path: string): boolean => path.startsWith('/') && path !== '/'

/** The installation to which the environment's `python` leads. */
function interpreterOf(binPath: string): string[] {
  const known = interpreters.get(binPath)
  if (known) return known
  const python = join(binPath, 'python')
  const found = existsSync(python) ? [dirname(dirname(realpathSync(python)))] : []
  interpreters.set(binPath, found)
  return found
}

const interpreters = new Map<string, string[]>()
