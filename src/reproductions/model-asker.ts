import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { ArtifactService } from '../artifacts/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { Executor } from '../ports/executor.ts'
import type { Predictions } from './reproduction.ts'

type Parts = {
  artifacts: Pick<ArtifactService, 'materialiseTree'>
  executor: Executor
  /** The Python of the environment with that lock, which is built where it is missing. */
  pythonOf: (lock: Digest | 'none', project: string) => Promise<string>
  /** The folder of the programs that run in the environment: python/compare */
  programs: string
  workDir: string
  systemPath: string
}

const predictionsShape = z.union([
  z.object({ compared: z.literal(true), rows: z.int(), equal: z.boolean(), largest: z.number().optional() }),
  z.object({ compared: z.literal(false), reason: z.string() }),
])
const packagesShape = z.record(z.string(), z.string())

/** An environment, and what is asked in it. `lay`: what its folder holds when the program starts. */
type Question = {
  project: string
  lock: Digest | 'none'
  program: string
  words: string
  lay: (folder: string) => Promise<unknown>
}

const shownBytes = 400

/**
 * Asks in a version's own environment: the recorded and the rebuilt model the rows of the recorded one's input example; or which
 * packages stand there. Each in a process without secrets, for loading a model runs its code. It outlives the server, and the next
 * look finds it by its folder.
 */
export class ModelAsker {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Undefined while they are being asked. */
  async ask(
    id: string,
    asked: {
      project: string
      model: string
      recorded: Digest
      rebuilt: Digest
      lock: Digest | 'none'
      tolerance: number
    },
  ): Promise<Predictions | undefined> {
    const { artifacts } = this.#parts
    const said = await this.#answer(join(id, 'models', asked.model), {
      ...{ project: asked.project, lock: asked.lock, program: 'modelwright_compare.py' },
      words: `recorded rebuilt answer.json ${asked.tolerance}`,
      lay: async (folder) => {
        await artifacts.materialiseTree(asked.recorded, join(folder, 'recorded'))
        await artifacts.materialiseTree(asked.rebuilt, join(folder, 'rebuilt'))
      },
    })
    if (!said) return undefined
    const read = 'answer' in said ? predictionsShape.safeParse(said.answer).data : undefined
    if (!read)
      return { compared: false, reason: `the models could not be asked: ${'why' in said ? said.why : 'no answer'}` }
    if (!read.compared) return read
    const { rows, equal, largest } = read
    return { compared: true, rows, equal, ...(largest === undefined ? {} : { largest }) }
  }

  /** Package → version as the environment says of itself, the interpreter as `python`. Undefined while it is being asked. */
  async packages(id: string, asked: { lock: Digest; project: string }): Promise<Record<string, string> | undefined> {
    const question = { ...asked, program: 'modelwright_packages.py', words: 'answer.json', lay: async () => undefined }
    const said = await this.#answer(join(id, 'packages'), question)
    if (!said) return undefined
    return ('answer' in said ? packagesShape.safeParse(said.answer).data : undefined) ?? {}
  }

  async clearUp(id: string): Promise<void> {
    await rm(join(this.#parts.workDir, 'reproductions', id), { recursive: true, force: true })
  }

  async #answer(path: string, question: Question): Promise<{ answer: unknown } | { why: string } | undefined> {
    const { executor } = this.#parts
    const folder = join(this.#parts.workDir, 'reproductions', path)
    const seen = await executor.observe(folder)
    if (seen.state === 'absent') await this.#start(folder, question)
    if (seen.state === 'absent' || seen.state === 'running') return undefined
    await executor.sweep([folder])
    if (seen.state === 'ended' && seen.end.code === 0) {
      const text = await readFile(join(folder, 'workspace', 'answer.json'), 'utf8').catch(() => 'null')
      return { answer: JSON.parse(text) as unknown }
    }
    const said = await readFile(executor.logPath(folder), 'utf8').catch(() => '')
    return { why: said.trim().slice(-shownBytes) || 'its process was lost' }
  }

  async #start(folder: string, { project, lock, program, words, lay }: Question): Promise<void> {
    const { executor, programs, systemPath } = this.#parts
    const python = await this.#parts.pythonOf(lock, project)
    const cwd = join(folder, 'workspace')
    await rm(cwd, { recursive: true, force: true })
    await mkdir(join(cwd, 'tmp'), { recursive: true })
    await lay(cwd)
    await executor.start({
      dir: folder,
      cwd,
      command: `${quoted(python)} ${quoted(join(programs, program))} ${words}`,
      env: {
        PATH: systemPath,
        HOME: cwd,
        TMPDIR: join(cwd, 'tmp'),
        LANG: 'C.UTF-8',
        MLFLOW_DISABLE_TELEMETRY: 'true',
        GIT_PYTHON_REFRESH: 'quiet',
        PYTHONHASHSEED: '0',
      },
    })
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
