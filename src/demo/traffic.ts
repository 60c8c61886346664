import type { ProductionRow } from './production-rows.ts'
import { type Demo, environment, project } from './story.ts'
import { failed, until } from './until.ts'

export type Answer = { predictionId: string; prediction: string }

/** One real request, as any client sends it. */
export async function ask(demo: Pick<Demo, 'gateway' | 'signal' | 'logs'>, row: ProductionRow): Promise<Answer> {
  const response = await fetch(`${demo.gateway}/endpoints/${project}/${environment}/invocations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ dataframe_records: [row.inputs] }),
    signal: demo.signal,
  })
  const text = await response.text()
  const predictionId = response.headers.get('x-modelwright-prediction-id')
  if (!response.ok || !predictionId)
    throw failed(`A request for ${row.key} was answered ${response.status}: ${text.slice(0, 300)}`, demo.logs)
  const { predictions } = JSON.parse(text) as { predictions: unknown[] }
  return { predictionId, prediction: String(predictions[0]) }
}

/** After a second start the gateway first loads the model again: waits until production answers. */
export async function untilAnswered(demo: Demo): Promise<void> {
  let last = ''
  await until(demo, { what: 'An answer of production', withinMs: 60_000, lastSeen: () => last }, () =>
    ask(demo, demo.rows.usual[0]!).catch((error: Error) => {
      last = error.message
      return undefined
    }),
  )
}

/** Asks for each row once, so many a second. */
export async function askAll(demo: Demo, rows: readonly ProductionRow[], perSecond: number): Promise<number> {
  for (const row of rows) {
    await ask(demo, row)
    await demo.clock.sleep(1000 / perSecond, demo.signal)
  }
  return rows.length
}

/**
 * Traffic while something goes on: the rows in turn, from the first one again after the last, until the work is done. A failed
 * request fails the work: no change may hurt a user.
 */
export async function duringTraffic<T>(
  demo: Demo,
  rows: readonly ProductionRow[],
  perSecond: number,
  work: (demo: Demo) => Promise<T>,
): Promise<{ result: T; requests: number }> {
  const broken = new AbortController()
  let isOver = false
  let requests = 0
  const sending = (async () => {
    while (!isOver && !demo.signal.aborted) {
      await ask(demo, rows[requests % rows.length]!)
      requests++
      await demo.clock.sleep(1000 / perSecond, demo.signal)
    }
  })().catch((error: unknown) => broken.abort(error))
  try {
    const result = await work({ ...demo, signal: AbortSignal.any([demo.signal, broken.signal]) })
    return { result, requests }
  } finally {
    isOver = true
    await sending
  }
}
