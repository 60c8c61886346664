import type { Digest } from '../kernel/digest.ts'
import type { PythonEnvironment } from '../projects/index.ts'
import { packageFolders } from './decide/editable-projects.ts'
import { ImportSearch, type PythonSource, pythonSource } from './decide/imported-modules.ts'
import { repositoryPath } from './decide/python-starts.ts'
import { readRequirements } from './read-requirements.ts'
import type { CommitFiles } from './source-reader.ts'

const sourcesKept = 20_000
/** No module that people write; what imports it is still found when the step runs. */
const largestModuleBytes = 4_000_000

/** Finds the modules that a step's Python code imports, and keeps what it has read by content: a commit changes few files. */
export class ModuleFinder {
  readonly #sources = new Map<Digest, PythonSource>()
  readonly #found = new WeakMap<CommitFiles, Map<string, ReadonlyMap<string, string>>>()
  readonly #folders = new WeakMap<CommitFiles, Map<string, string[]>>()

  /** Path → the file that imports it; all of them loaded. */
  async importsOf(
    files: CommitFiles,
    step: { command: string; declared: readonly string[]; packageFolders: readonly string[] },
  ): Promise<ReadonlyMap<string, string>> {
    const known = this.#found.get(files) ?? new Map<string, ReadonlyMap<string, string>>()
    this.#found.set(files, known)
    const question = JSON.stringify([step.command, step.declared, step.packageFolders])
    const found = known.get(question) ?? (await this.#find(files, step))
    known.set(question, found)
    return found
  }

  /** Where the packages of projects lie that the requirements install in place. */
  async packageFolders(files: CommitFiles, python: PythonEnvironment | undefined): Promise<readonly string[]> {
    if (!python || python.conda) return []
    const known = this.#folders.get(files) ?? new Map<string, string[]>()
    this.#folders.set(files, known)
    const found = known.get(python.requirements) ?? (await readFolders(files, python.requirements))
    known.set(python.requirements, found)
    return found
  }

  async #find(
    files: CommitFiles,
    step: { command: string; declared: readonly string[]; packageFolders: readonly string[] },
  ): Promise<ReadonlyMap<string, string>> {
    const texts = new Map<string, PythonSource>()
    const search = new ImportSearch({ ...step, paths: files.paths, read: (path) => texts.get(path) })
    for (let unread = search.goOn(); unread.length > 0; unread = search.goOn()) {
      await files.load(unread)
      for (const path of unread) texts.set(path, await this.#read(files, path))
    }
    await files.load([...search.modules.keys()])
    return search.modules
  }

  async #read(files: CommitFiles, path: string): Promise<PythonSource> {
    const { digest, size } = files.source(path)!
    const key = `${digest}${/\.\w+$/.exec(path)?.[0] ?? ''}` as Digest
    const known = this.#sources.get(key)
    if (known) return known
    const bytes = size > largestModuleBytes ? new Uint8Array() : ((await files.read(path)) ?? new Uint8Array())
    const source = pythonSource(path, new TextDecoder().decode(bytes))
    if (this.#sources.size >= sourcesKept) this.#sources.delete(this.#sources.keys().next().value!)
    this.#sources.set(key, source)
    return source
  }
}

async function readFolders(files: CommitFiles, requirements: string): Promise<string[]> {
  const { projects } = await readRequirements(files, requirements)
  const hasPythonIn = (folder: string) => files.paths.named(folder).some((path) => path.endsWith('.py'))
  const found: string[] = []
  for (const project of new Set(projects)) {
    const texts: string[] = []
    for (const name of ['pyproject.toml', 'setup.cfg', 'setup.py']) {
      const bytes = await files.read(repositoryPath(project, name)!)
      if (bytes) texts.push(new TextDecoder().decode(bytes))
    }
    found.push(...packageFolders(project, texts, hasPythonIn))
  }
  return [...new Set(found)]
}
