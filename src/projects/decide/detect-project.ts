import { detectDvc } from './detect-dvc.ts'
import { detectScripts, type RepositoryFile, type ScriptsDraft } from './detect-scripts.ts'
import { nameProblem } from './grammar.ts'
import { checkProjectFile } from './parse-project-file.ts'
import { type DraftData, type ProjectDraft, writeDraft } from './project-draft.ts'
import { pathProblem } from './repository-path.ts'

export type { RepositoryFile }

/** The text of a modelwright.yaml that parseProjectFile accepts, what it rests on, and what may be wrong in it. */
export type Detected = { yaml: string; found: string[]; guessed: string[] }

const maxData = 20

/**
 * Looks at a repository's files (paths from its root; the text only of small ones) and writes the modelwright.yaml
 * that a person would begin with. `folderName` names the project where nothing in the files does.
 */
export function detectProject(files: readonly RepositoryFile[], folderName = 'my-project'): Detected {
  const usable = files.filter(({ path }) => pathProblem(path) === undefined)
  const text = (path: string) => usable.find((file) => file.path === path)?.text
  const found: string[] = []
  const guessed: string[] = []
  const project = projectName(text('pyproject.toml'), folderName)
  const python = pythonOf(usable, found)
  const data = dataOf(usable, found, guessed)

  const dvc = detectDvc(text('dvc.yaml'), usable)
  const steps: ScriptsDraft = dvc ? { ...dvc, steps: [] } : detectScripts(usable, data, project)
  found.push(...steps.found)
  guessed.push(...steps.guessed)
  for (const { path } of usable.filter((file) => file.path.endsWith('.dvc')))
    guessed.push(
      `${path} points to data outside Git: it is taken from the default remote of .dvc/config, which must be a folder that the server can read`,
    )

  const draft = {
    project,
    ...(python ? { python } : {}),
    data,
    steps: steps.steps,
    ...(dvc ? { dvc: true as const } : {}),
    ...(steps.gate ? { gate: steps.gate } : {}),
  }
  return settle(draft, found, guessed)
}

/** A draft that the parser would refuse is reduced until it is accepted: better less, and said so, than wrong. */
function settle(draft: ProjectDraft, found: string[], guessed: string[]): Detected {
  const yaml = writeDraft(draft)
  const checked = checkProjectFile(yaml)
  if ('file' in checked) return { yaml, found, guessed }
  const why = checked.problems[0]!.text
  const { gate, ...ungated } = draft
  if (gate) return settle(ungated, found, [...guessed, `the gate is left out: ${why}`])
  if (draft.steps.length > 0)
    return settle({ ...draft, steps: [] }, found, [...guessed, `the steps are left out, write them by hand: ${why}`])
  if (draft.data.length > 0) return settle({ ...draft, data: [] }, found, [...guessed, `the data is left out: ${why}`])
  return settle({ project: 'my-project', data: [], steps: [] }, found, [
    ...guessed,
    `only the project's name is kept: ${why}`,
  ])
}

function projectName(pyproject: string | undefined, folderName: string): string {
  const declared = /^\[project\][^[]*?^name\s*=\s*["']([^"']+)["']/ms.exec(pyproject ?? '')?.[1]
  return [declared, folderName].map((name) => toName(name ?? '')).find((name) => name !== '') ?? 'my-project'
}

/** Any text → a name that the file accepts; empty where nothing is left of it. */
function toName(text: string): string {
  const name = text
    .replaceAll(/[^A-Za-z0-9_.-]+/g, '-')
    .replaceAll(/\.{2,}/g, '.')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64)
    .replace(/[-_.]+$/, '')
  return nameProblem(name) ? '' : name
}

function pythonOf(files: readonly RepositoryFile[], found: string[]): ProjectDraft['python'] {
  const requirements = ['requirements.txt', 'pyproject.toml', 'requirements/base.txt'].find((path) =>
    files.some((file) => file.path === path),
  )
  if (!requirements) return undefined
  found.push(requirements)
  const pyproject = files.find((file) => file.path === 'pyproject.toml')?.text ?? ''
  const version = /^requires-python\s*=\s*["']\s*((?:[<>=!~]=?\s*\d+(?:\.\d+)*\s*,?\s*)+)["']/m
    .exec(pyproject)?.[1]
    ?.trim()
  return { requirements, ...(version ? { version } : {}) }
}

function dataOf(files: readonly RepositoryFile[], found: string[], guessed: string[]): DraftData[] {
  const paths = files.filter(({ path }) => /^data\/.*\.csv$/i.test(path)).sort((a, b) => (a.path < b.path ? -1 : 1))
  if (paths.length > maxData)
    guessed.push(`data/ holds ${paths.length} CSV files; the first ${maxData} are written down`)
  const used = new Set<string>()
  return paths.slice(0, maxData).map(({ path, text }) => {
    const name = freshName(
      toName(
        path
          .split('/')
          .at(-1)!
          .replace(/\.csv$/i, ''),
      ) || 'data',
      used,
    )
    const columns = headerOf(text)
    const key = columns.find((column) => /^id$/i.test(column)) ?? columns.find((column) => /[_ ]id$/i.test(column))
    found.push(path)
    if (key) guessed.push(`"${key}" names a row of ${path}`)
    return { name, path, columns, ...(key ? { key } : {}) }
  })
}

/** Names that differ in more than case and punctuation, since steps see them as environment variables. */
function freshName(name: string, used: Set<string>): string {
  let fresh = name
  for (let i = 2; used.has(variableOf(fresh)); i++) fresh = `${name.slice(0, 60)}-${i}`
  used.add(variableOf(fresh))
  return fresh
}

const variableOf = (name: string): string => name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')

function headerOf(text: string | undefined): string[] {
  const line = (text ?? '').replace(/^\uFEFF/, '').split(/\r?\n/, 1)[0]!
  // A header with quoted commas is rare and only leads to fewer suggestions.
  const columns = line.split(',').map((column) => column.trim().replace(/^"(.*)"$/, '$1'))
  return columns.every((column) => column !== '' && !/["\n]/.test(column)) ? columns : []
}
