import { spawn } from 'node:child_process'
import { cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type LocalGit, localGit, mustGit } from '../cli/local-git.ts'
import { bug } from '../kernel/errors.ts'

/** A working copy of the example, as a data scientist has it: plain Git, nothing of Modelwright's but modelwright.yaml. */
export class ExampleRepository {
  readonly folder: string
  readonly #env: Record<string, string | undefined>
  readonly #git: LocalGit

  constructor(folder: string, env: Record<string, string | undefined>) {
    this.folder = folder
    this.#env = env
    this.#git = localGit(folder, env)
  }

  async exists(): Promise<boolean> {
    return (await stat(join(this.folder, '.git')).catch(() => undefined)) !== undefined
  }

  /** Copies the example and makes it a repository; its data is written by the example's own script. */
  async create(): Promise<void> {
    await mkdir(this.folder, { recursive: true })
    const made = /(^|\/)(data|work|production|mlruns|__pycache__|\.modelwright)(\/|$)/
    const example = exampleFolder()
    await cp(example, this.folder, { recursive: true, filter: (path) => !made.test(path.slice(example.length)) })
    await mustGit(this.#git, 'init', '--quiet', '-b', 'main')
    // The demo's own name, and nothing that a person's settings would ask of a commit (a signature, hooks).
    for (const [name, value] of Object.entries(settings)) await mustGit(this.#git, 'config', '--local', name, value)
  }

  /** Writes the parameters and commits, unless a commit of that subject is there. */
  async commit({ subject, params }: { subject: string; params: { trees: number; depth: number } }): Promise<string> {
    const known = await this.find(subject)
    if (known) return known
    const path = join(this.folder, 'modelwright.yaml')
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replace(paramsLine, `params: { trees: ${params.trees}, depth: ${params.depth} }`))
    await mustGit(this.#git, 'add', '--all')
    await mustGit(this.#git, 'commit', '--quiet', '-m', subject)
    return this.head()
  }

  async find(subject: string): Promise<string | undefined> {
    const { code, out } = await this.#git('log', '--format=%H%x09%s')
    const line = code === 0 ? out.split('\n').find((one) => one.slice(41) === subject) : undefined
    return line?.slice(0, 40)
  }

  async head(): Promise<string> {
    return (await mustGit(this.#git, 'rev-parse', 'HEAD')).trim()
  }

  /** What the commit changed, as Git shows it, without context. */
  async changeOf(commit: string): Promise<string[]> {
    const shown = await mustGit(this.#git, 'show', '--format=', '--unified=0', commit)
    return shown.split('\n').filter((line) => /^[+-](?![+-])/.test(line))
  }

  /** Takes over what Modelwright committed, as one does before the next commit. */
  async pull(): Promise<void> {
    await mustGit(this.#git, 'pull', '--quiet', '--rebase', 'modelwright', 'main')
  }

  async describe(commit: string): Promise<string> {
    return (await mustGit(this.#git, 'log', '-1', '--format=%h %an: %s', commit)).trim()
  }

  /** `git push modelwright main`, every line of it handed on as it comes. */
  push(onLine: (line: string) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const words = ['push', 'modelwright', 'main']
      const child = spawn('git', words, { cwd: this.folder, env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] })
      const lines: string[] = []
      for (const stream of [child.stdout, child.stderr])
        createInterface({ input: stream }).on('line', (line) => {
          lines.push(line.trimEnd())
          if (line.trim() !== '') onLine(line.trimEnd())
        })
      child.once('error', reject)
      child.once('close', (code) =>
        code === 0 ? resolve() : reject(bug(`git push ended with status ${code}: ${lines.slice(-5).join(' / ')}`)),
      )
    })
  }
}

const paramsLine = /params: \{ trees: \d+, depth: \d+ \}/

const settings = {
  'user.name': 'Demo',
  'user.email': 'demo@example.com',
  'commit.gpgsign': 'false',
  'core.hooksPath': '/dev/null',
  'core.autocrlf': 'false',
}

/** The folder in this package, beside `src/` or, bundled, beside `dist/`. */
export function exampleFolder(from: string = import.meta.url): string {
  const place = Math.max(from.lastIndexOf('/src/demo/'), from.lastIndexOf('/dist/'))
  return fileURLToPath(`${from.slice(0, place)}/examples/tumour-classifier`)
}
