import { AppError, messageOf } from '../../kernel/errors.ts'
import type { ScoringResult } from './run-scoring.ts'

export type ScoringRecord = ScoringResult & {
  model: string
  /** Absent: a folder, which no registry knows. */
  version?: string
  input: string
  outputDigest: string
  /** Who did it, as mlflow's client says it. */
  user: string
  startedAt: number
  endedAt: number
}

/** A server that speaks MLflow's API, and how to prove who asks. */
export type TrackingServer = { url: string; authorization?: string }

/**
 * Writes a scoring of a registered model down where the model is registered: as an MLflow run of the experiment `scoring`, or in the run
 * that is being made (`runId`), with the table as its dataset.
 * @returns the run's id @throws AppError ServerUnreachable
 */
export async function recordScoring(record: ScoringRecord, server: TrackingServer, runId?: string): Promise<string> {
  const ask = (path: string, body: object) => post(server, path, body)
  const id = runId ?? (await newRun(ask, record))
  const { model, version, modelDigest, outputDigest, rows, answered, rejected } = record
  await ask('runs/log-inputs', {
    run_id: id,
    datasets: [
      {
        dataset: {
          name: record.input.slice(-500),
          digest: record.inputDigest.slice(7, 43),
          source_type: 'local',
          source: JSON.stringify({ uri: record.input }),
        },
        tags: [{ key: 'mlflow.data.context', value: 'scoring' }],
      },
    ],
  })
  await ask('runs/log-batch', {
    run_id: id,
    tags: Object.entries({
      'modelwright.scoring.model': version === undefined ? model : `models:/${model}/${version}`,
      'modelwright.scoring.model_digest': modelDigest,
      'modelwright.scoring.input_digest': record.inputDigest,
      'modelwright.scoring.output': record.output,
      'modelwright.scoring.output_digest': outputDigest,
    }).map(([key, value]) => ({ key, value })),
    metrics: Object.entries({ rows, answered, rejected }).map(([name, value]) => ({
      key: `scoring.${name}`,
      value,
      timestamp: record.endedAt,
      step: 0,
    })),
  })
  if (runId === undefined) await ask('runs/update', { run_id: id, status: 'FINISHED', end_time: record.endedAt })
  return id
}

type Ask = (path: string, body: object) => Promise<Record<string, unknown>>

async function newRun(ask: Ask, { model, version, startedAt, user }: ScoringRecord): Promise<string> {
  const created = await ask('runs/create', {
    experiment_id: await experiment(ask),
    start_time: startedAt,
    run_name: `score ${model} ${version}`,
    user_id: user,
    tags: [{ key: 'mlflow.user', value: user }],
  })
  return (created.run as { info: { run_id: string } }).info.run_id
}

async function experiment(ask: Ask): Promise<string> {
  const found = await ask('experiments/search', { max_results: 1, filter: "name = 'scoring'" })
  const [known] = (found.experiments ?? []) as { experiment_id: string }[]
  return known ? known.experiment_id : String((await ask('experiments/create', { name: 'scoring' })).experiment_id)
}

async function post(
  { url, authorization }: TrackingServer,
  path: string,
  body: object,
): Promise<Record<string, unknown>> {
  const at = `${url.replace(/\/+$/, '')}/api/2.0/mlflow/${path}`
  const response = await fetch(at, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) },
    body: JSON.stringify(body),
  }).catch((cause: unknown) => {
    throw notRecorded(`no server answers at ${url} (${messageOf(cause)})`)
  })
  const text = await response.text()
  if (!response.ok) throw notRecorded(`${at} answers ${response.status}: ${text.slice(0, 300)}`)
  return JSON.parse(text || '{}') as Record<string, unknown>
}

const notRecorded = (why: string): AppError =>
  new AppError(
    'ServerUnreachable',
    `The table is scored, but that is not recorded: ${why}.`,
    'See that the server runs, and that you may write to it.',
  )
