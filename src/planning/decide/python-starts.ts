import { normalisePath } from '../../projects/decide/repository-path.ts'

/** Where Python code begins in a command line, with the folders that Python then looks for modules in, the first one first. */
export type PythonStart = { roots: string[] } & (
  | { kind: 'script'; path: string }
  | { kind: 'module'; name: string }
  | { kind: 'code'; text: string }
  | { kind: 'tests'; path: string }
)

type SimpleCommand = { words: string[]; cwd: string; searched: string[] }

/**
 * What a line for sh starts: `python a.py`, `python -m pkg.mod`, `python -c …`, `pytest tests`, and each word that names a .py or
 * .ipynb file (`torchrun train.py`, `papermill a.ipynb`). Paths are the repository's; what lies outside of it is left out.
 */
export function pythonStarts(line: string, at: { cwd?: string; searched?: string[] } = {}): PythonStart[] {
  return simpleCommands(line, at).flatMap((command) => startsOf(command))
}

function startsOf({ words, cwd, searched }: SimpleCommand): PythonStart[] {
  const starts: PythonStart[] = []
  const inside = (path: string) => repositoryPath(cwd, path)
  const scripts = words.flatMap((word) => {
    const path = /\.(py|ipynb)$/.test(word) ? inside(word) : undefined
    return path ? [path] : []
  })
  for (const path of scripts) starts.push({ kind: 'script', path, roots: [folderOf(path), ...searched] })
  const program = words.findIndex((word) => /(^|\/)(python|pypy)[\d.]*$/.test(word))
  const asked = program < 0 ? undefined : pythonOption(words.slice(program + 1))
  if (asked?.option === '-m' && asked.value && asked.value !== 'pytest')
    starts.push({ kind: 'module', name: asked.value, roots: [cwd, ...searched] })
  if (asked?.option === '-c' && asked.value) starts.push({ kind: 'code', text: asked.value, roots: [cwd, ...searched] })
  const tests = asked?.value === 'pytest' ? asked.rest : pytestWords(words)
  for (const word of tests ?? []) {
    const path = word.startsWith('-') ? undefined : inside(word.split('::')[0]!)
    if (path) starts.push({ kind: 'tests', path, roots: asked ? [cwd, ...searched] : searched })
  }
  return starts
}

const pytestWords = (words: readonly string[]): string[] | undefined => {
  const at = words.findIndex((word) => /(^|\/)(pytest|py\.test)$/.test(word))
  return at < 0 ? undefined : words.slice(at + 1)
}

/** python's own options end at the first word that is none; -W and -X take a word. */
function pythonOption(
  words: readonly string[],
): { option: '-m' | '-c'; value: string | undefined; rest: string[] } | undefined {
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!
    const found = /^-[A-Za-z]*([mc])(.*)$/.exec(word)
    if (found && !/^-[WX]/.test(word)) {
      const option = `-${found[1]}` as '-m' | '-c'
      return found[2]
        ? { option, value: found[2], rest: words.slice(i + 1) }
        : { option, value: words[i + 1], rest: words.slice(i + 2) }
    }
    if (word === '-W' || word === '-X') i++
    else if (!word.startsWith('-')) return undefined
  }
  return undefined
}

/** The simple commands of a line with the folder each is in (`cd x &&`) and the PYTHONPATH that it is given. */
function simpleCommands(line: string, at: { cwd?: string; searched?: string[] }): SimpleCommand[] {
  let cwd = at.cwd ?? '.'
  let exported = at.searched ?? []
  const commands: SimpleCommand[] = []
  for (const words of splitCommands(line)) {
    const rest = words.slice(words[0] === 'export' || words[0] === 'env' ? 1 : 0)
    const assignments = rest.findIndex((word) => !/^[A-Za-z_]\w*=/.test(word))
    const given = rest.slice(0, assignments < 0 ? rest.length : assignments)
    const path = given.find((word) => word.startsWith('PYTHONPATH='))?.slice('PYTHONPATH='.length)
    const searched = path === undefined ? exported : [...foldersOf(path, cwd), ...exported]
    if (assignments < 0) exported = searched
    else if (rest[assignments] === 'cd') cwd = repositoryPath(cwd, rest[assignments + 1] ?? '.') ?? '..'
    else commands.push({ words: rest.slice(assignments), cwd, searched })
  }
  return commands
}

const foldersOf = (path: string, cwd: string): string[] =>
  path
    .split(':')
    .flatMap((folder) => repositoryPath(cwd, folder.replace(/^\$(PWD|\{PWD\}|\(pwd\))\/?/, '') || '.') ?? [])

/** Words of sh with their quotes taken away, a list for each simple command. */
export function splitCommands(line: string): string[][] {
  const commands: string[][] = [[]]
  let word: string | undefined
  let quote: string | undefined
  const endWord = () => {
    if (word !== undefined) commands.at(-1)!.push(word)
    word = undefined
  }
  for (let i = 0; i < line.length; i++) {
    const char = line[i]!
    if (quote === "'" || quote === '"') {
      if (char === quote) quote = undefined
      else if (char === '\\' && quote === '"' && /["\\$`\n]/.test(line[i + 1] ?? '')) word = `${word}${line[++i]}`
      else word += char
    } else if (char === "'" || char === '"') {
      quote = char
      word ??= ''
    } else if (char === '\\') {
      const next = line[++i] ?? ''
      if (next !== '\n') word = `${word ?? ''}${next}`
    } else if (char === '#' && word === undefined) {
      while (i + 1 < line.length && line[i + 1] !== '\n') i++
    } else if (char === '$' && line.startsWith('(pwd)', i + 1)) {
      word = `${word ?? ''}$(pwd)`
      i += 5
    } else if (/[;&|\n()]/.test(char)) {
      endWord()
      if (commands.at(-1)!.length > 0) commands.push([])
    } else if (/\s/.test(char)) endWord()
    else word = `${word ?? ''}${char}`
  }
  endWord()
  return commands.filter((words) => words.length > 0)
}

/** A path as sh in `cwd` means it, from the repository's root; undefined where it leaves the repository or is made by the shell. */
export function repositoryPath(cwd: string, path: string): string | undefined {
  if (path === '' || path.startsWith('/') || /[$`*?]/.test(path)) return undefined
  const parts: string[] = []
  for (const part of normalisePath(`${cwd}/${path}`).split('/')) {
    if (part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined) return undefined
  }
  return parts.length === 0 ? '.' : parts.join('/')
}

export const folderOf = (path: string): string => (path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.')
