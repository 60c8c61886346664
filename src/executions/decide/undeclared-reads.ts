import { isInside } from '../../projects/decide/repository-path.ts'

/** A way in which a step looked for something that was not there: a file or folder, or a module that some file would have to be. */
export type Tried = { kind: 'path' | 'module'; path: string }

export type ReadFacts = {
  /** Absolute: where the step looked. */
  workspace: string
  tried: readonly Tried[]
  /** All paths of the commit. */
  commit: ReadonlySet<string>
  /** What the step declared, reads and writes alike: files and folders of the workspace. */
  declared: readonly string[]
}

/** What the commit has of what a step looked for and did not declare, in the order of looking. */
export function undeclaredReads({ workspace, tried, commit, declared }: ReadFacts): string[] {
  const folders = foldersOf(commit)
  const found = new Set<string>()
  for (const { kind, path } of tried) {
    const inside = relativeTo(workspace, path)
    if (inside === undefined || declared.some((known) => isInside(inside, known) || isInside(known, inside))) continue
    const file = kind === 'path' ? inside : moduleFile(inside, commit)
    if (file !== undefined && (commit.has(file) || folders.has(file))) found.add(file)
  }
  return [...found]
}

/** As Python finds a module: a package, a file, a folder that holds modules. */
function moduleFile(path: string, commit: ReadonlySet<string>): string | undefined {
  const named = [`${path}/__init__.py`, `${path}.py`].find((candidate) => commit.has(candidate))
  if (named) return named.endsWith('/__init__.py') ? path : named
  return [...commit].some((one) => one.startsWith(`${path}/`) && one.endsWith('.py')) ? path : undefined
}

function foldersOf(paths: ReadonlySet<string>): Set<string> {
  const folders = new Set<string>()
  for (const path of paths)
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      if (folders.has(path.slice(0, end))) break
      folders.add(path.slice(0, end))
    }
  return folders
}

function relativeTo(workspace: string, path: string): string | undefined {
  const whole = wholePath(workspace, path)
  return whole.startsWith(`${workspace}/`) ? whole.slice(workspace.length + 1) : undefined
}

function wholePath(workspace: string, path: string): string {
  const parts: string[] = []
  const plain = path.startsWith('/') ? path : `${workspace}/${path}`
  for (const part of plain.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return `/${parts.join('/')}`
}

const complaints =
  /No such file or directory|cannot open|can't open|Cannot find module|FileNotFoundError|ENOENT|does not exist|not found|could not be found/i

/**
 * What the lines of a log say was not there: each word of a complaining line that could be a path. The words of other lines count for
 * nothing, and neither do those that stand for no path of the commit in the end.
 */
export function triedInLog(log: string): Tried[] {
  return log
    .split('\n')
    .filter((line) => complaints.test(line))
    .flatMap(pathsIn)
}

const pathsIn = (line: string): Tried[] =>
  [...line.slice(0, 2_000).matchAll(/[^\s'"`’‘“”:;,()[\]<>=]+/g)].map(([word]) => ({
    kind: 'path',
    path: word.replace(/[.!?]+$/, ''),
  }))

const refusals = /Read-only file system|EROFS|nonexistent|non-existent/i

/** What a log says was not there, or could not be written, at a place that is hidden from the step. */
export type Outside = {
  path: string
  /** The system itself said that nothing may be written there. */
  refused: boolean
}

/** Absolute folders: what steps do not see, and what of it they do all the same; of those around a path the innermost counts. */
export type OutsideFacts = { workspace: string; hidden: readonly string[]; visible: readonly string[] }

export function outsideInLog(log: string, { workspace, hidden, visible }: OutsideFacts): Outside[] {
  const found = new Map<string, Outside>()
  for (const line of log.split('\n').filter((one) => complaints.test(one) || refusals.test(one)))
    for (const { path } of pathsIn(line)) {
      const whole = wholePath(workspace, path)
      if (depthOf(whole, hidden) < Math.max(1, depthOf(whole, visible)) || hidden.includes(whole)) continue
      found.set(whole, { path: whole, refused: refusals.test(line) })
    }
  return [...found.values()]
}

/** The length of the innermost of the folders around a path; 0 where none is. */
const depthOf = (path: string, folders: readonly string[]): number =>
  Math.max(0, ...folders.filter((folder) => isInside(path, folder)).map((folder) => folder.length))

/** The longest end of an absolute path that the commit has: what a path on somebody's own machine meant. */
export function inCommit(path: string, commit: ReadonlySet<string>): string | undefined {
  const folders = foldersOf(commit)
  const parts = path.split('/').slice(1)
  const ends = parts.map((_, index) => parts.slice(index).join('/'))
  return ends.find((end) => commit.has(end) || folders.has(end))
}

/** How a path is written under `deps:`: a dataset by its name. */
export const asDependency = (path: string, data: Readonly<Record<string, { path: string }>>): string => {
  const dataset = Object.entries(data).find(([, source]) => source.path === path)
  return dataset ? `data:${dataset[0]}` : path
}
