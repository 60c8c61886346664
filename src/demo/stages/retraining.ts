import type { Client } from '../../kernel/client.ts'
import { receiveLabels } from '../../labels/labels-contract.ts'
import { getRetraining } from '../../retraining/retraining-contract.ts'
import { listPredictions } from '../../serving/predictions-contract.ts'
import { awaitPromotion, awaitVerdict, followExecution, followRollout, rowsText } from '../follow.ts'
import type { ProductionRow } from '../production-rows.ts'
import { type Demo, environment, project, type Stage } from '../story.ts'
import { duringTraffic, untilAnswered } from '../traffic.ts'
import { failed, until } from '../until.ts'
import { usualPerSecond } from './canary.ts'

export const retraining: Stage = {
  title: 'Diagnoses arrive, and the model is trained anew',
  about:
    'Labels come by prediction id. Drift starts a retraining on the old data plus the labelled rows, through the same gate and rollout.',
  async perform(demo) {
    const { narrate, rows } = demo
    await untilAnswered(demo)
    await sendLabels(demo)
    const started = await until(demo, { what: 'The retraining', withinMs: 120_000 }, async () => {
      const { environments } = await demo.client(getRetraining, { params: { project } })
      return environments
        .flatMap((one) => one.retrainings)
        .find(({ trigger, executionId }) => trigger.kind === 'drift' && executionId !== undefined)
    })
    const frozen = started.frozen?.map((one) => `${one.rows} rows as ${one.digest.slice(0, 19)}…`).join(', ')
    narrate.good(`Drift started a retraining; the labelled rows are frozen: ${frozen ?? 'none'}`)
    const execution = await followExecution(demo, started.executionId!)
    await awaitVerdict(demo, execution.id)
    const { digest } = await awaitPromotion(demo, execution.id)
    narrate.step(`production is asked about ${rowsText(rows.mixed.length)} of both kinds, as they come from now on`)
    const { requests } = await duringTraffic(demo, rows.mixed, usualPerSecond, (during) =>
      followRollout(during, digest),
    )
    narrate.good(`${requests} requests during the rollout, none failed`)
  },
}

/** In one call, so that the retraining sees all of them. */
async function sendLabels(demo: Demo): Promise<void> {
  const { client, narrate, rows } = demo
  const labels = await until(demo, { what: 'The record of each prediction', withinMs: 30_000 }, async () => {
    const found = await labelsFor(client, rows.coarse)
    return found.length === rows.coarse.length ? found : undefined
  })
  const { refused, ...taken } = await client(receiveLabels, { params: { project }, body: { labels } })
  if (refused.length > 0)
    throw failed(`${refused.length} labels were refused, the first: ${refused[0]!.reason}`, demo.logs)
  narrate.good(`${rowsText(labels.length)} got their diagnosis (${taken.recorded} new, ${taken.unchanged} known)`)
}

/** The newest answered prediction of each of the rows, with what was true. */
async function labelsFor(client: Client, rows: readonly ProductionRow[]) {
  const { items } = await client(listPredictions, { params: { project, environment }, query: { limit: 1000 } })
  const byKey = new Map<string, string>()
  for (const { key, id, outcome } of items)
    if (key !== undefined && outcome === 'answered' && !byKey.has(key)) byKey.set(key, id)
  return rows.flatMap(({ key, diagnosis }) => {
    const predictionId = byKey.get(key)
    return predictionId ? [{ predictionId, value: diagnosis }] : []
  })
}
