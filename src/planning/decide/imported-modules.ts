import type { PathIndex } from './path-index.ts'
import { type PythonImport, type PythonModule, readNotebook, readPythonModule } from './python-imports.ts'
import { folderOf, type PythonStart, pythonStarts, repositoryPath } from './python-starts.ts'

export type ImportFacts = {
  /** The step's command line with its parameters filled in. */
  command: string
  /** Files of the commit that the step declared. */
  declared: readonly string[]
  paths: PathIndex
  /** Folders that are on Python's path whatever the command says: of projects that are installed as editable. */
  packageFolders: readonly string[]
  /** The text of a file where it was read already. */
  read: (path: string) => PythonSource | undefined
}

/** A Python file, a notebook or a script for sh, as far as it matters here. */
export type PythonSource = { module: PythonModule; commands: string[] }

export const commandItself = 'run:'

/** Only these are read for imports. */
export const mayImport = (path: string): boolean => /\.(py|ipynb|sh)$/.test(path)

export function pythonSource(path: string, text: string): PythonSource {
  if (path.endsWith('.sh')) return { module: readPythonModule(''), commands: [text] }
  if (!path.endsWith('.ipynb')) return { module: readPythonModule(text), commands: [] }
  const { code, commands } = readNotebook(text)
  return { module: readPythonModule(code), commands }
}

/** Folders beyond which nobody puts a package. */
const deepest = 12
/** A file may be reached by scripts that look in different folders; whoever makes up more ways than these has them found when the step runs. */
const waysKept = 8
const rootsKept = 64

/**
 * The modules of the repository that a step's Python code imports: from what its command starts and from the declared files,
 * followed through what they import. Names that the repository has no file for are packages, and not looked at.
 *
 * Where Python would look is followed in its order: the script's own folder (or the working directory with -m), PYTHONPATH, sys.path as the
 * code extends it by literals, the folders of editable packages; at last the repository's root, since code often puts it on sys.path in a
 * way that cannot be read. A name that is found there and never used costs a run that was not needed; a missed one would be a stale result.
 *
 * Texts are asked for as they are needed: `goOn` gives the paths of those that are wanted next, and is called again when `read` knows them; it
 * gives none when `modules` is whole.
 */
export class ImportSearch {
  /** Files that the step's code needs and its deps do not name → the file that imports them; the command itself is `run:`. */
  readonly modules = new Map<string, string>()
  /** Where the command's own scripts look: declared files that nothing was seen to import are imported from there. */
  readonly #commandRoots: string[] = []
  readonly #facts: ImportFacts
  readonly #declared: ReadonlySet<string>
  /** How often each file was looked at, and with which folders to look in. */
  readonly #ways = new Map<string, Set<string>>()
  /** No recursion: a chain of imports may be long. */
  readonly #ready: (() => void)[] = []
  #waiting: { path: string; goOn: () => void }[] = []

  constructor(facts: ImportFacts) {
    this.#facts = facts
    this.#declared = new Set(facts.declared)
    this.#ready.push(() => {
      for (const start of pythonStarts(facts.command)) this.#begin(start, commandItself)
    })
  }

  goOn(): string[] {
    for (const { goOn } of this.#waiting.splice(0)) this.#ready.push(goOn)
    this.#work()
    // What the command's own scripts reached was looked at with their eyes; the rest is now looked at with its own.
    if (this.#waiting.length === 0) {
      for (const path of this.#declared)
        if (!this.#ways.has(path)) this.#visit(path, [folderOf(path), ...this.#commandRoots])
      this.#work()
    }
    return [...new Set(this.#waiting.map(({ path }) => path))]
  }

  #work(): void {
    for (let next = this.#ready.pop(); next; next = this.#ready.pop()) next()
  }

  /** Goes on with a file's text now, or when it was read. */
  #with(path: string, work: (source: PythonSource) => void): void {
    const source = this.#facts.read(path)
    if (source) work(source)
    else
      this.#waiting.push({
        path,
        goOn: () => {
          const late = this.#facts.read(path)
          if (late) work(late)
        },
      })
  }

  #begin(start: PythonStart, by: string): void {
    const { paths } = this.#facts
    if (by === commandItself)
      this.#commandRoots.push(...start.roots.filter((root) => !this.#commandRoots.includes(root)))
    if (start.kind === 'script') this.#take([start.path], start.roots, by)
    else if (start.kind === 'module') this.#beginModule(start.name, start.roots, by)
    else if (start.kind === 'code') this.#follow(readPythonModule(start.text), undefined, start.roots, by)
    else
      for (const path of paths.named(start.path))
        if (isTest(path) || path === start.path) {
          const conftests = ancestors(folderOf(path)).map((folder) => join(folder, 'conftest.py'))
          this.#take([path, ...conftests], [folderOf(path), ...start.roots], by)
        }
  }

  /** `python -m pkg` runs pkg/__main__.py. */
  #beginModule(name: string, roots: readonly string[], by: string): void {
    const parts = name.split('.')
    for (const asked of [parts, [...parts, '__main__']]) this.#take(this.#find(asked, roots), roots, by)
  }

  #take(files: readonly string[], roots: readonly string[], by: string): void {
    for (const path of files) {
      if (!this.#facts.paths.has(path)) continue
      if (!this.#declared.has(path) && !this.modules.has(path)) this.modules.set(path, by)
      this.#ready.push(() => this.#visit(path, roots))
    }
  }

  /** Each file once per way of looking, which is that of the script that brought it in. */
  #visit(path: string, roots: readonly string[]): void {
    const way = roots.join('\0')
    const ways = this.#ways.get(path) ?? new Set<string>()
    if (!mayImport(path) || ways.has(way) || ways.size >= waysKept) return
    this.#ways.set(path, ways.add(way))
    this.#with(path, ({ commands, module }) => {
      for (const line of commands) for (const start of pythonStarts(line)) this.#begin(start, path)
      this.#follow(module, path, roots, path)
    })
  }

  #follow(module: PythonModule, file: string | undefined, roots: readonly string[], by: string): void {
    const extended = [...new Set([...roots, ...this.#searchedBy(module, file)])].slice(0, rootsKept)
    for (const one of module.imports) {
      const { parts, from } = this.#placeOf(one, file, extended)
      if (!from) continue
      const found = this.#find(parts, from)
      if (one.level > 0) found.push(join(from[0]!, '__init__.py'))
      for (const name of one.names) if (name !== '*') found.push(...this.#find([...parts, name], from))
      this.#take([...new Set(found)], extended, by)
      const whole = one.names.includes('*') ? this.#find(parts, from).at(-1) : undefined
      if (whole !== undefined)
        this.#with(whole, ({ module: { exports } }) =>
          this.#take(
            exports.flatMap((name) => this.#find([...parts, name], from)),
            extended,
            by,
          ),
        )
    }
  }

  /** The names between the dots, and the folders in which the first one is looked for; none where the dots lead out of the repository. */
  #placeOf(
    one: PythonImport,
    file: string | undefined,
    roots: readonly string[],
  ): { parts: string[]; from?: string[] } {
    const parts = one.module === '' ? [] : one.module.split('.')
    if (one.level === 0) return { parts, from: [...roots, ...this.#facts.packageFolders, '.'] }
    const base = file === undefined ? undefined : ancestors(folderOf(file))[one.level - 1]
    return { parts, ...(base === undefined ? {} : { from: [base] }) }
  }

  /** What the file puts on sys.path; a computed entry is taken for any folder above the file, or one that it names there. */
  #searchedBy(module: PythonModule, file: string | undefined): string[] {
    const literal = module.searched.flatMap((folder) => repositoryPath('.', folder) ?? [])
    const above = file === undefined || module.guessed.length === 0 ? [] : ancestors(folderOf(file))
    const guessed = above.flatMap((folder) =>
      module.guessed.flatMap((name) => (name === '' ? folder : (repositoryPath(folder, name) ?? []))),
    )
    return [...literal, ...guessed.filter((folder) => this.#facts.paths.hasFolder(folder))]
  }

  /**
   * The files that importing a dotted name loads: each package's __init__.py on the way and the module itself. A regular package or a
   * module goes before a folder without __init__.py of an earlier root, as in Python's own search.
   */
  #find(parts: readonly string[], roots: readonly string[]): string[] {
    let inNamespace: string[] = []
    for (const root of new Set(roots)) {
      const { files, regular } = this.#findIn(root, parts)
      if (regular) return files
      if (inNamespace.length === 0) inNamespace = files
    }
    return inNamespace
  }

  #findIn(root: string, parts: readonly string[]): { files: string[]; regular: boolean } {
    const { paths } = this.#facts
    const files: string[] = []
    let folder = root
    let regular = false
    for (const [index, part] of parts.slice(0, deepest).entries()) {
      const inner = join(folder, part)
      const package_ = paths.has(`${inner}/__init__.py`)
      const module = !package_ && paths.has(`${inner}.py`)
      if (package_ || module) files.push(package_ ? `${inner}/__init__.py` : `${inner}.py`)
      if (index === 0) regular = package_ || module
      if (module || (!package_ && !paths.hasFolder(inner))) break
      folder = inner
    }
    return { files, regular }
  }
}

const isTest = (path: string): boolean => /(^|\/)(test_[^/]*|[^/]*_test|conftest)\.py$/.test(path)

const join = (folder: string, name: string): string => (folder === '.' ? name : `${folder}/${name}`)

/** The folder itself, the one above it, …, the repository's root. */
function ancestors(folder: string): string[] {
  if (folder === '.') return ['.']
  const parts = folder.split('/')
  return [...parts.map((_, index) => parts.slice(0, parts.length - index).join('/')), '.']
}
