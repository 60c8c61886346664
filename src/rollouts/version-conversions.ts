import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, digestOfJson } from '../kernel/digest.ts'
import { AppError, messageOf } from '../kernel/errors.ts'
import { formatDuration } from '../kernel/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { ModelVersionManifest } from '../promotions/index.ts'
import {
  ConversionCache,
  convertModel,
  digestOfSources,
  pythonFolder,
  readMlmodel,
  Unconvertible,
  unconvertible,
} from '../serving/index.ts'
import type { VersionConversion } from './version-conversion.ts'
import type { KeptConversion, VersionConversionsStore } from './version-conversions-store.ts'

export type VersionConversionsParts = {
  /** `<data>/conversions`: a folder for each ONNX form, which appears whole. */
  root: string
  store: VersionConversionsStore
  clock: Clock
  log: Log
  limitMs: number
  /** Lays what a version was made of into a folder, as far as that is tables of a sane size; their paths. */
  layOutData: (manifest: ConvertibleVersion['manifest'], folder: string) => Promise<string[]>
  /** An interpreter with the packages of a lock and the converters beside them. @throws AppError where there can be none */
  converterPython: (lock: Digest, signal: AbortSignal) => Promise<string>
}

/** A version whose files lie on this machine. */
export type ConvertibleVersion = {
  digest: Digest
  manifest: Pick<ModelVersionManifest, 'environmentLock' | 'project' | 'commit' | 'data'>
  modelPath: string
}

// As `modelwright serve --convert` takes it.
const tolerance = 1e-5

/**
 * Makes the ONNX form of versions and remembers what came of it. It may be killed at any line: a form counts only once its proof is
 * recorded, with the digest of the files that were proved.
 */
export class VersionConversions {
  readonly #parts: VersionConversionsParts
  #converter: Promise<Digest> | undefined

  constructor(parts: VersionConversionsParts) {
    this.#parts = parts
  }

  /** The folder of a version's ONNX form; undefined: Python computes it, and why is recorded. Rejects only where the signal was aborted. */
  async graphOf(version: ConvertibleVersion, signal: AbortSignal): Promise<string | undefined> {
    try {
      const mlmodel = readMlmodel(version.modelPath)
      return mlmodel.onnxFile ? undefined : await this.#graphOf(version, signal)
    } catch (error) {
      signal.throwIfAborted()
      // A database that is away, a full disk, a folder that is no model's: none of them keeps a version from being served.
      this.#parts.log.error(
        { err: error, digest: version.digest },
        'the version could not be looked into for conversion',
      )
      return undefined
    }
  }

  async #graphOf(version: ConvertibleVersion, signal: AbortSignal): Promise<string | undefined> {
    const { store, root } = this.#parts
    this.#converter ??= digestOfSources(join(pythonFolder(), 'converter'))
    const converter = await this.#converter
    const cache = new ConversionCache(root, converter)
    const key = keyOf(version.digest, converter)
    const known = await store.find(version.digest)
    if (known?.converter === converter) {
      if (known.fact.outcome === 'refused') return undefined
      const folder = await standing(cache, key, known)
      if (folder !== undefined) return folder
    }
    // Nobody proved what lies there now, if anything does.
    await cache.forget(key)
    const fact = await this.#tried(version, cache, key, signal)
    const folder = fact.outcome === 'converted' ? cache.folder(key) : undefined
    const formDigest = folder === undefined ? undefined : await cache.key(folder)
    await store.save(version.digest, { converter, fact, ...(formDigest === undefined ? {} : { formDigest }) })
    return folder
  }

  async #tried(
    version: ConvertibleVersion,
    cache: ConversionCache,
    key: string,
    signal: AbortSignal,
  ): Promise<VersionConversion> {
    const { clock, limitMs } = this.#parts
    const problem = unconvertible(readMlmodel(version.modelPath), await folderBytes(version.modelPath))
    if (problem) return { outcome: 'refused', reason: `${problem.reason}. ${problem.next}`, at: clock.now() }
    const limit = limitOf(clock, limitMs)
    try {
      const proof = await this.#made(version, cache, key, AbortSignal.any([signal, limit.signal]))
      return { outcome: 'converted', proof, at: clock.now() }
    } catch (error) {
      signal.throwIfAborted()
      const at = clock.now()
      if (error instanceof Unconvertible) return { outcome: 'refused', reason: reasonOf(error), at }
      const reason = limit.signal.aborted
        ? `It took longer than ${formatDuration(limitMs)} (--convert-limit).`
        : reasonOf(error)
      this.#parts.log.error({ digest: version.digest, reason }, 'a version was not converted; Python serves it')
      return { outcome: 'failed', reason, at }
    } finally {
      limit.end()
    }
  }

  async #made({ manifest, modelPath }: ConvertibleVersion, cache: ConversionCache, key: string, signal: AbortSignal) {
    const { clock, converterPython, layOutData } = this.#parts
    if (manifest.environmentLock === 'none')
      throw new Unconvertible(
        'ConversionRefused',
        'The project declares no Python environment, so none can be made of its packages and the converters.',
        'Declare it under python: in modelwright.yaml.',
      )
    const pythonPath = await converterPython(manifest.environmentLock, signal)
    const workspace = await cache.workspace(clock.now())
    // Beside the workspace, which becomes the place: what is only for the work does not stay.
    const scratch = await cache.workspace(clock.now())
    try {
      const data = await layOutData(manifest, scratch)
      // Who was told to end before it began would never be.
      signal.throwIfAborted()
      const { rows, rowsFrom, dataRows, thresholdRows, largestDifference, ties, versions } = await convertModel(
        { model: modelPath, output: join(workspace, 'model'), data, tolerance, answerOnly: true },
        { pythonPath, env: {}, scratch, signal, inBackground: true },
      )
      await cache.keep(key, workspace)
      return { rows, rowsFrom, dataRows, thresholdRows, largestDifference, tolerance, ties, versions }
    } finally {
      for (const folder of [workspace, scratch]) await rm(folder, { recursive: true, force: true })
    }
  }
}

const keyOf = (digest: Digest, converter: Digest): string =>
  digestOfJson({ converter, version: digest }).replace(/^sha256:/, '')

/** The form that was proved, if its bytes are still those. */
async function standing(cache: ConversionCache, key: string, known: KeptConversion): Promise<string | undefined> {
  const kept = await cache.find(key)
  if (!kept || !('folder' in kept)) return undefined
  return (await cache.key(kept.folder)) === known.formDigest ? kept.folder : undefined
}

/** The converter's own words, which begin with what the record says already. */
const reasonOf = (error: unknown): string => {
  const next = error instanceof AppError ? ` ${error.next}` : ''
  return `${messageOf(error).replace(/^The model is not converted: /, '')}${next}`.slice(0, 2_000)
}

function limitOf(clock: Clock, ms: number): { signal: AbortSignal; end: () => void } {
  const late = new AbortController()
  const over = new AbortController()
  void clock.sleep(ms, over.signal).then(() => {
    if (!over.signal.aborted) late.abort()
  })
  return { signal: late.signal, end: () => over.abort() }
}

async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const sizes = entries.filter((entry) => entry.isFile()).map((entry) => stat(join(entry.parentPath, entry.name)))
  return (await Promise.all(sizes)).reduce((sum, { size }) => sum + size, 0)
}
