import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { SystemClock } from '../adapters/clock/system/system-clock.ts'
import { parseProjectFile } from '../projects/index.ts'
import { inputContract } from '../serving/index.ts'
import { fileDigest, readMlmodel, recordScoring, runScoring, type ScoringResult } from '../serving/serve/index.ts'
import {
  findLocalModel,
  type LocalModelParts,
  type PythonSettings,
  passedEnvironment,
  pythonFor,
  quietLog,
} from './local-model.ts'

export type ScoreSettings = PythonSettings & {
  /** A path, `models:/…`, `runs:/…`. */
  model: string
  input: string
  output: string
  keep: readonly string[] | 'all' | undefined
  /** A modelwright.yaml whose checks of data are held against the rows. */
  checks?: string
  onBad: 'reject' | 'fail'
  restart: boolean
  threads?: number
  passEnv: readonly string[]
  record: boolean
}

export type ScoredTable = ScoringResult & {
  model: string
  version: string
  outputDigest: string
  tookMs: number
  runId?: string
}

/** Scores a table from this process; a registered model's scoring is written down on its server. */
export async function scoreWithModel(
  settings: ScoreSettings,
  parts: LocalModelParts,
  progress: (rows: number) => void,
): Promise<ScoredTable> {
  const { environment, cwd, signal } = parts
  const clock = new SystemClock()
  const startedAt = clock.now()
  const scratch = mkdtempSync(join(tmpdir(), 'modelwright-score-'))
  try {
    const found = await findLocalModel(settings.model, join(scratch, 'model'), settings, parts)
    const scored = await runScoring({
      modelPath: found.folder,
      name: found.name,
      version: found.version,
      input: settings.input,
      output: resolve(cwd, settings.output),
      cwd,
      keep: settings.keep,
      checks: settings.checks === undefined ? [] : checksOf(resolve(cwd, settings.checks), found.folder),
      onBad: settings.onBad,
      restart: settings.restart,
      pythonPath: await pythonFor(settings, found.folder, parts),
      workerEnv: passedEnvironment(settings, environment),
      folder: join(scratch, 'work'),
      ...(settings.threads === undefined ? {} : { threads: settings.threads }),
      progress,
      log: quietLog(parts.say),
      clock,
      signal,
    })
    const outputDigest = await fileDigest(scored.output)
    const endedAt = clock.now()
    const told = { ...scored, model: found.name, version: found.version, outputDigest, tookMs: endedAt - startedAt }
    const isRegistered = settings.model.startsWith('models:')
    const stepsRun = environment.MODELWRIGHT_STEP === '1' ? environment.MLFLOW_RUN_ID : undefined
    if (!settings.record || (!isRegistered && stepsRun === undefined)) return told
    const { version: _, ...facts } = told
    const record = {
      ...(isRegistered ? told : facts),
      input: resolve(cwd, settings.input),
      user: userOf(environment),
      startedAt,
      endedAt,
    }
    const runId = stepsRun ?? (environment.MLFLOW_RUN_ID || undefined)
    return { ...told, runId: await recordScoring(record, await parts.tracking(), runId) }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

const userOf = (environment: NodeJS.ProcessEnv): string => environment.MLFLOW_TRACKING_USERNAME ?? userInfo().username

/** The declared checks of all data, as far as they speak of columns that the model takes; the same as the gateway's. */
function checksOf(path: string, model: string) {
  const file = parseProjectFile(readFileSync(path, 'utf8'), path)
  const { facts } = readMlmodel(model)
  const checks = Object.values(file.data).flatMap((source) => source.checks)
  const taken = new Set(facts.inputs.map(({ name }) => name))
  const ours = checks.filter(
    (check) => check.kind === 'column' && (facts.signature !== 'columns' || taken.has(check.column)),
  )
  return inputContract([], ours, undefined).checks
}
