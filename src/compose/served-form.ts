import { execFile } from 'node:child_process'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { AppError, messageOf } from '../kernel/errors.ts'
import type { Clock } from '../ports/clock.ts'
import {
  ConversionCache,
  converterRequirements,
  convertModel,
  digestOfSources,
  type GraphLater,
  pythonFolder,
  readMlmodel,
  Unconvertible,
  unconvertible,
} from '../serving/serve/index.ts'
import {
  cacheFolder,
  environmentOf,
  type LocalModelParts,
  localPython,
  type PythonSettings,
  passedEnvironment,
} from './local-model.ts'

/** on: ready only as ONNX; auto: at once as it is, as ONNX as soon as that is proved; off: as it is. */
export type ConvertWhen = 'auto' | 'on' | 'off'

type FormSettings = PythonSettings & { passEnv: readonly string[]; convert: ConvertWhen }

/** `forget`: the ONNX form is one that was kept; it may have become unusable. */
type ServedForm = { graphPath?: string; graphLater?: GraphLater; forget?: () => Promise<void> }

/** In which form a model is served: the folder of its ONNX form, or how that is made; neither: as it is. @throws AppError ConversionRefused */
export async function servedForm(
  model: string,
  settings: FormSettings,
  parts: LocalModelParts,
  clock: Clock,
): Promise<ServedForm> {
  const mlmodel = readMlmodel(model)
  if (settings.convert === 'off' || mlmodel.onnxFile) return {}
  const stays = (reason: string, next: string, isCandidate = true) => {
    if (settings.convert === 'on') throw new AppError('ConversionRefused', reason, next)
    if (isCandidate) parts.say(`Python computes this model. ${reason} ${next}`)
    return {}
  }
  const problem = unconvertible(mlmodel, await sizeOf(model))
  if (problem) return stays(`The model is not converted: ${problem.reason}.`, problem.next, problem.isCandidate)
  const conversions = new Conversions(model, settings, parts, clock)
  const kept = await conversions.kept()
  if (kept && 'folder' in kept) return { graphPath: kept.folder, forget: () => conversions.forget() }
  if (kept) return stays(kept.refused, kept.next)
  if (settings.convert === 'on') return { graphPath: await conversions.make(false) }
  return { graphLater: later(conversions, parts) }
}

const later = (conversions: Conversions, { say, signal }: LocalModelParts): GraphLater => ({
  make: async () => {
    try {
      return await conversions.make(true)
    } catch (error) {
      if (signal.aborted) return undefined
      const next = error instanceof AppError ? ` ${error.next}` : ''
      say(`Python goes on computing this model. ${messageOf(error).slice(0, 1000)}${next}`)
      return undefined
    }
  },
  taken: () => say('ONNX Runtime computes this model from now on: both were proved to answer alike.'),
})

/** The conversions of one model in the user's cache folder; its own folder stays as it is. */
class Conversions {
  readonly #model: string
  readonly #settings: FormSettings
  readonly #parts: LocalModelParts
  readonly #clock: Clock
  #place: Promise<{ cache: ConversionCache; key: string }> | undefined

  constructor(model: string, settings: FormSettings, parts: LocalModelParts, clock: Clock) {
    this.#model = model
    this.#settings = settings
    this.#parts = parts
    this.#clock = clock
  }

  async kept() {
    const { cache, key } = await this.#where()
    return cache.find(key)
  }

  async forget(): Promise<void> {
    const { cache, key } = await this.#where()
    await cache.forget(key)
  }

  /** @throws AppError ConversionRefused; what lies in the model itself is remembered */
  async make(inBackground: boolean): Promise<string> {
    const { environment, signal } = this.#parts
    const { cache, key } = await this.#where()
    const pythonPath = await this.#python()
    const workspace = await cache.workspace(this.#clock.now())
    // Beside the workspace, which becomes the place: what is only for the work does not stay.
    const scratch = await cache.workspace(this.#clock.now())
    try {
      await convertModel(
        { model: this.#model, output: join(workspace, 'model'), tolerance: 1e-5, answerOnly: true },
        { pythonPath, env: passedEnvironment(this.#settings, environment), scratch, signal, inBackground },
      )
      return await cache.keep(key, workspace)
    } catch (error) {
      if (error instanceof Unconvertible) await cache.refuse(key, workspace, error.message, error.next)
      throw error
    } finally {
      for (const folder of [workspace, scratch]) await rm(folder, { recursive: true, force: true })
    }
  }

  /** The Python that runs the model, where it has the converters; else an environment of its packages and them. */
  async #python(): Promise<string> {
    const { environment } = this.#parts
    if (this.#settings.envManager === 'local') {
      const own = await localPython(this.#settings, environment).catch(() => undefined)
      if (own !== undefined && (await hasConverters(own, environment))) return own
    }
    const installer = this.#settings.envManager === 'virtualenv' ? 'virtualenv' : 'uv'
    return environmentOf(this.#model, converterRequirements(), installer, this.#parts)
  }

  #where() {
    this.#place ??= (async () => {
      const converter = await digestOfSources(join(pythonFolder(), 'converter'))
      const cache = new ConversionCache(join(cacheFolder(this.#parts.environment), 'conversions'), converter)
      return { cache, key: await cache.key(this.#model) }
    })()
    return this.#place
  }
}

async function hasConverters(python: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const asks =
    "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ('onnx', 'onnxruntime', 'skl2onnx'))))"
  return promisify(execFile)(python, ['-c', asks], { env }).then(
    () => true,
    () => false,
  )
}

async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const sizes = entries.filter((entry) => entry.isFile()).map((entry) => stat(join(entry.parentPath, entry.name)))
  return (await Promise.all(sizes)).reduce((sum, { size }) => sum + size, 0)
}
