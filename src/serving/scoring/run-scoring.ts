import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { Digest } from '../../kernel/digest.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import { readMlmodel } from '../models/mlmodel-file.ts'
import { openBackend, type VersionBackend } from '../models/open-backend.ts'
import type { ServingLog } from '../models/serving-log.ts'
import { workerScript } from '../python-folder.ts'
import { folderDigest, inputTable } from './input-files.ts'
import { type Scored, type ScoreJob, scoreTable } from './score-table.ts'

export type ScoringOptions = Pick<
  ScoreJob,
  'output' | 'keep' | 'checks' | 'onBad' | 'restart' | 'progress' | 'signal'
> & {
  modelPath: string
  name: string
  version: string
  input: string
  cwd: string
  /** For what is not ONNX. */
  pythonPath: string
  workerEnv: Record<string, string>
  /** For the worker's log and working folder. */
  folder: string
  threads?: number
  partRows?: number
  log: ServingLog
  clock: Clock
}

export type ScoringResult = Scored & { modelDigest: Digest; inputDigest: Digest }

const batchRows = 8_192
/** A piece of a job: finished ones survive a crash. */
const usualPartRows = 262_144
const answerMs = 600_000
const loadMs = 600_000

/** Loads a model, scores a table with it, and lets it go. @throws AppError ModelUnusable and what `scoreTable` throws */
export async function runScoring(options: ScoringOptions): Promise<ScoringResult> {
  const { modelPath, clock, signal } = options
  readMlmodel(modelPath)
  const input = await inputTable(options.input, options.cwd)
  const modelDigest = await folderDigest(modelPath)
  mkdirSync(options.folder, { recursive: true, mode: 0o700 })
  const model = await loaded(options, modelDigest)
  const over = new AbortController()
  const expiring = everySecond(clock, over.signal, () => model.expire(clock.now()))
  try {
    const scored = await scoreTable({
      ...options,
      input,
      model,
      modelDigest,
      batchRows,
      partRows: options.partRows ?? usualPartRows,
    })
    return { ...scored, modelDigest, inputDigest: input.digest }
  } catch (error) {
    if (!signal.aborted) throw error
    throw new AppError(
      'ScoringFailed',
      'It was told to end.',
      'What was finished is kept: the same command goes on from there.',
      {
        cause: error,
      },
    )
  } finally {
    over.abort()
    await Promise.all([expiring, model.drainAndStop(0)])
  }
}

async function loaded(options: ScoringOptions, digest: Digest): Promise<VersionBackend> {
  const { clock, log, signal, modelPath, pythonPath, name } = options
  const changed = new EventTarget()
  const model = openBackend(
    { model: name, version: 1, digest, modelPath, pythonPath, inputs: { columns: [], checks: [] } },
    {
      clock,
      log,
      script: workerScript(),
      folder: options.folder,
      env: options.workerEnv,
      limits: { queueLength: 4, waitMs: answerMs, answerMs, loadMs, batchRows: 1 },
      threads: options.threads ?? availableParallelism(),
      changed: () => changed.dispatchEvent(new Event('changed')),
    },
  )
  model.start()
  while (model.state !== 'ready') {
    if (model.state === 'failed' || signal.aborted) {
      const { reason } = model
      await model.drainAndStop(0)
      throw new AppError(
        'ModelUnusable',
        `Model "${name}" cannot be loaded. ${reason ?? 'It was stopped while it loaded.'}`,
        'See that the Python that runs it has what the model needs: --python names another one, --env-manager uv makes one.',
      )
    }
    await new Promise<void>((resolve) => {
      changed.addEventListener('changed', () => resolve(), { once: true })
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }
  return model
}

async function everySecond(clock: Clock, signal: AbortSignal, work: () => void): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(1_000, signal)
    work()
  }
}
