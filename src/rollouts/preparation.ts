import type { Digest } from '../kernel/digest.ts'
import { AppError, messageOf } from '../kernel/errors.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { ProjectsService } from '../projects/index.ts'
import type { ModelVersionManifest } from '../promotions/index.ts'
import type { ServedVersion } from '../serving/index.ts'
import type { RolloutFacts } from './decide/next-step.ts'
import type { ModelFolders } from './model-folders.ts'
import { versionInputs } from './version-inputs.ts'

type Prepared = { state: 'ready'; served: ServedVersion } | Exclude<RolloutFacts['prepared'], { state: 'ready' }>

/** What the preparation of a version needs of the rooms above. */
export type PreparationParts = {
  folders: ModelFolders
  manifestOf: (digest: Digest) => Promise<ModelVersionManifest>
  /** Builds the environment of a lock unless it stands; the path of its interpreter. `none`: the project declares no environment. */
  ensurePython: (lock: Digest | 'none', project: string) => Promise<string>
  projects: Pick<ProjectsService, 'fileAt'>
}

const retryAfterMs = 15_000
/** A newcomer has been rolled back by then; for what serves, someone may have mended it meanwhile. */
const lastingRetryAfterMs = 600_000

/** Brings versions to this machine in the background, each once at a time; remembers what failed for good and what may be tried again. */
export class Preparation {
  readonly #parts: PreparationParts
  readonly #ready = new Map<Digest, ServedVersion>()
  readonly #underWay = new Map<Digest, Promise<void>>()
  readonly #failed = new Map<Digest, { reason: string; lasting: boolean; retryAt: EpochMs }>()

  constructor(parts: PreparationParts) {
    this.#parts = parts
  }

  /** Begins what has not begun. */
  look(digest: Digest, version: number, now: EpochMs): Prepared {
    const served = this.#ready.get(digest)
    if (served) return { state: 'ready', served }
    const failed = this.#failed.get(digest)
    if (failed && now < failed.retryAt)
      return failed.lasting ? { state: 'failed', reason: failed.reason } : { state: 'going on' }
    if (!this.#underWay.has(digest)) this.#underWay.set(digest, this.#prepare(digest, version, now))
    return { state: 'going on' }
  }

  /** A folder that vanished is made again: forget that it stood. */
  forget(digest: Digest): void {
    this.#ready.delete(digest)
    this.#failed.delete(digest)
  }

  trouble(digest: Digest): string | undefined {
    return this.#failed.get(digest)?.reason
  }

  servable(digest: Digest): ServedVersion | undefined {
    return this.#ready.get(digest)
  }

  /** Until nothing is under way: at shutdown, and in tests. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay.values())
  }

  async #prepare(digest: Digest, version: number, now: EpochMs): Promise<void> {
    try {
      const manifest = await this.#parts.manifestOf(digest)
      const [modelPath, pythonPath, { file }] = await Promise.all([
        this.#parts.folders.ensure(manifest.modelTree),
        this.#parts.ensurePython(manifest.environmentLock, manifest.project),
        this.#parts.projects.fileAt(manifest.project, manifest.commit),
      ])
      const inputs = versionInputs(manifest, file)
      this.#ready.set(digest, { model: manifest.model, version, digest, modelPath, pythonPath, inputs })
      this.#failed.delete(digest)
    } catch (error) {
      const lasting = isLasting(error)
      this.#failed.set(digest, {
        reason: messageOf(error),
        lasting,
        retryAt: now + (lasting ? lastingRetryAfterMs : retryAfterMs),
      })
    } finally {
      this.#underWay.delete(digest)
    }
  }
}

/** A full disk or a network passes; an environment that does not resolve or bytes that are not those do not. */
const isLasting = (error: unknown): boolean =>
  error instanceof AppError && (error.culprit === 'yours' || error.code === 'ObjectCorrupt')
