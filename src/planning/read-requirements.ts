import { AppError } from '../kernel/errors.ts'
import type { EnvironmentRequest } from '../ports/environments.ts'
import type { PythonEnvironment } from '../projects/index.ts'
import { localProject } from './decide/editable-projects.ts'
import { folderOf, repositoryPath } from './decide/python-starts.ts'
import type { CommitFiles } from './source-reader.ts'

/** A requirements file with the files that it names taken in; `projects` are the folders that it installs in place. */
export type Requirements = { text: string; constraints?: string; uvLock?: string; projects: string[] }

/** @throws AppError DependencyMissing where a named file is not in the commit. */
export async function readRequirements(files: CommitFiles, path: string): Promise<Requirements> {
  const text = await textOf(files, path, `python.requirements names "${path}"`)
  if (path.endsWith('pyproject.toml')) {
    const uvLock = await files.read(repositoryPath(folderOf(path), 'uv.lock')!)
    return { text, projects: [folderOf(path)], ...(uvLock ? { uvLock: new TextDecoder().decode(uvLock) } : {}) }
  }
  const gathered: Requirements = { text: '', projects: [] }
  await gather(files, path, text, gathered, new Set([path]))
  return gathered
}

/** What the project asks for, as the port takes it. */
export async function environmentRequestOf(files: CommitFiles, python: PythonEnvironment): Promise<EnvironmentRequest> {
  if (python.conda) return { requirements: '', conda: await textOf(files, python.requirements, condaWords(python)) }
  const { text, constraints, uvLock, projects } = await readRequirements(files, python.requirements)
  const beside = python.requirements.endsWith('pyproject.toml') ? [] : projects
  const texts: string[] = []
  for (const folder of beside) texts.push(...(await dependenciesOf(files, folder)))
  return {
    ...(python.version ? { pythonVersion: python.version } : {}),
    requirements: text,
    ...(uvLock === undefined ? {} : { uvLock }),
    ...(constraints === undefined ? {} : { constraints }),
    ...(texts.length > 0 ? { projects: texts } : {}),
  }
}

const condaWords = ({ requirements }: PythonEnvironment): string => `python.conda names "${requirements}"`

/** `-r` and `-c` are relative to the file that they stand in; `-e` to the repository's root, where pip would be called. */
async function gather(
  files: CommitFiles,
  path: string,
  text: string,
  into: Requirements,
  seen: Set<string>,
): Promise<void> {
  const lines = text.split('\n')
  for (const [index, line] of lines.entries()) {
    const named = /^\s*(-r|--requirement|-c|--constraint)[\s=]+([^\s#]+)/.exec(line)
    const inner = named && repositoryPath(folderOf(path), named[2]!)
    const project = named ? undefined : localProject(line)
    if (project !== undefined) into.projects.push(project)
    else if (!inner) into.text += index === lines.length - 1 ? line : `${line}\n`
    else if (!seen.has(inner)) {
      seen.add(inner)
      const taken = await textOf(files, inner, `Line ${index + 1} of ${path} names "${inner}"`)
      if (/^-?-c/.test(named[1]!)) into.constraints = `${into.constraints ?? ''}${taken}\n`
      else await gather(files, inner, `${taken}\n`, into, seen)
    }
  }
}

/** The text of a project's pyproject.toml, whose dependencies belong to the environment. */
async function dependenciesOf(files: CommitFiles, folder: string): Promise<string[]> {
  const pyproject = await files.read(repositoryPath(folder, 'pyproject.toml')!)
  const text = pyproject && new TextDecoder().decode(pyproject)
  if (text && /^\s*\[(project|tool\.poetry)\]/m.test(text)) return [text]
  for (const name of ['setup.cfg', 'setup.py']) {
    const setup = await files.read(repositoryPath(folder, name)!)
    if (setup && /install_requires/.test(new TextDecoder().decode(setup)))
      throw new AppError(
        'NotYetSupported',
        `The project in "${folder}" says in ${name} what it needs, which this version does not read.`,
        `List its packages in the requirements file, or move them to [project] dependencies of a pyproject.toml; then take install_requires out of ${name}.`,
      )
  }
  return []
}

async function textOf(files: CommitFiles, path: string, who: string): Promise<string> {
  const bytes = await files.read(path)
  if (bytes) return new TextDecoder().decode(bytes)
  throw new AppError(
    'DependencyMissing',
    `${who}, but the commit holds no such file.`,
    'Commit it, or name another file.',
  )
}
