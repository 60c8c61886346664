import type { Digest } from '../kernel/digest.ts'
import { AppError, messageOf } from '../kernel/errors.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { ProjectsService } from '../projects/index.ts'
import type { ModelVersionManifest } from '../promotions/index.ts'
import type { ServedVersion } from '../serving/index.ts'
import type { RolloutFacts } from './decide/next-step.ts'
import type { ModelFolders } from './model-folders.ts'
import type { VersionConversions } from './version-conversions.ts'
import { versionInputs } from './version-inputs.ts'

type Prepared = { state: 'ready'; served: ServedVersion } | Exclude<RolloutFacts['prepared'], { state: 'ready' }>

/** A version as an environment wants it: `convert`, computed as ONNX where that is proved to answer alike. */
export type VersionWish = { digest: Digest; version: number; convert: boolean }

/** What the preparation of a version needs of the rooms above. */
export type PreparationParts = {
  folders: ModelFolders
  manifestOf: (digest: Digest) => Promise<ModelVersionManifest>
  /** Builds the environment of a lock unless it stands; the path of its interpreter. `none`: the project declares no environment. */
  ensurePython: (lock: Digest | 'none', project: string) => Promise<string>
  projects: Pick<ProjectsService, 'fileAt'>
  /** Absent: nothing is converted on this server. */
  conversions?: Pick<VersionConversions, 'graphOf'>
}

const retryAfterMs = 15_000
/** A newcomer has been rolled back by then; for what serves, someone may have mended it meanwhile. */
const lastingRetryAfterMs = 600_000

/** Brings versions to this machine in the background, each once at a time; remembers what failed for good and what may be tried again. */
export class Preparation {
  readonly #parts: PreparationParts
  readonly #ready = new Map<string, ServedVersion>()
  readonly #underWay = new Map<string, Promise<void>>()
  readonly #converting = new Set<string>()
  readonly #failed = new Map<string, { reason: string; lasting: boolean; retryAt: EpochMs }>()
  readonly #stopping = new AbortController()

  constructor(parts: PreparationParts) {
    this.#parts = parts
  }

  /** Begins what has not begun. */
  look(wish: VersionWish, now: EpochMs): Prepared {
    const key = this.#keyOf(wish)
    const served = this.#ready.get(key)
    if (served) return { state: 'ready', served }
    const failed = this.#failed.get(key)
    if (failed && now < failed.retryAt)
      return failed.lasting ? { state: 'failed', reason: failed.reason } : { state: 'going on' }
    if (!this.#underWay.has(key) && !this.#stopping.signal.aborted)
      this.#underWay.set(key, this.#prepare(key, wish, now))
    return { state: 'going on' }
  }

  /** A folder that vanished is made again: forget that it stood. */
  forget(digest: Digest): void {
    for (const convert of [true, false]) {
      const key = this.#keyOf({ digest, convert })
      this.#ready.delete(key)
      this.#failed.delete(key)
    }
  }

  /** Why it is not ready yet. */
  trouble(wish: Pick<VersionWish, 'digest' | 'convert'>): string | undefined {
    const key = this.#keyOf(wish)
    return this.#converting.has(key) ? 'it is being converted to ONNX' : this.#failed.get(key)?.reason
  }

  servable(wish: Pick<VersionWish, 'digest' | 'convert'>): ServedVersion | undefined {
    return this.#ready.get(this.#keyOf(wish))
  }

  /** Until nothing is under way: in tests. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay.values())
  }

  /** A conversion is broken off, and made by the next server; the rest comes to its end. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.settled()
  }

  /** Two environments may want one version in two forms. */
  #keyOf({ digest, convert }: Pick<VersionWish, 'digest' | 'convert'>): string {
    return convert && this.#parts.conversions ? `${digest} converted` : digest
  }

  async #prepare(key: string, { digest, version, convert }: VersionWish, now: EpochMs): Promise<void> {
    try {
      const manifest = await this.#parts.manifestOf(digest)
      const [modelPath, pythonPath, { file }] = await Promise.all([
        this.#parts.folders.ensure(manifest.modelTree),
        this.#parts.ensurePython(manifest.environmentLock, manifest.project),
        this.#parts.projects.fileAt(manifest.project, manifest.commit),
      ])
      const inputs = versionInputs(manifest, file)
      const served = { model: manifest.model, version, digest, modelPath, pythonPath, inputs }
      const graphPath = convert ? await this.#graphOf(key, { digest, manifest, modelPath }) : undefined
      this.#ready.set(key, graphPath === undefined ? served : { ...served, graphPath })
      this.#failed.delete(key)
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      const lasting = isLasting(error)
      this.#failed.set(key, {
        reason: messageOf(error),
        lasting,
        retryAt: now + (lasting ? lastingRetryAfterMs : retryAfterMs),
      })
    } finally {
      this.#underWay.delete(key)
    }
  }

  async #graphOf(key: string, version: Parameters<VersionConversions['graphOf']>[0]): Promise<string | undefined> {
    this.#converting.add(key)
    try {
      return await this.#parts.conversions?.graphOf(version, this.#stopping.signal)
    } finally {
      this.#converting.delete(key)
    }
  }
}

/** A full disk or a network passes; an environment that does not resolve or bytes that are not those do not. */
const isLasting = (error: unknown): boolean =>
  error instanceof AppError && (error.culprit === 'yours' || error.code === 'ObjectCorrupt')
