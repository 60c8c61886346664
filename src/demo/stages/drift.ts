import { listAlerts } from '../../monitoring/monitoring-contract.ts'
import { getDeployment } from '../../rollouts/rollouts-contract.ts'
import { rowsText } from '../follow.ts'
import { environment, project, type Stage } from '../story.ts'
import { driftAlertOf } from '../story-checks.ts'
import { askAll, untilAnswered } from '../traffic.ts'
import { until } from '../until.ts'

const coarsePerSecond = 40

export const drift: Stage = {
  title: 'The world moves: biopsies of another kind arrive',
  about: 'Real biopsies whose images have a coarse texture; none of that kind was in the training data.',
  async perform(demo) {
    const { client, narrate, rows } = demo
    await untilAnswered(demo)
    const { desired } = await client(getDeployment, { params: { project, environment } })
    narrate.step(`production is asked about ${rowsText(rows.coarse.length)} with coarse texture`)
    await askAll(demo, rows.coarse, coarsePerSecond)
    const alert = await until(demo, { what: 'The drift alert', withinMs: 90_000 }, async () => {
      const { items } = await client(listAlerts, { query: { project } })
      return driftAlertOf({ alerts: items }, desired?.digest)
    })
    narrate.good(`Drift alert for version ${alert.version}: ${alert.features.join(', ')}`)
    for (const reason of alert.reasons.slice(0, 4)) narrate.step(reason)
  },
}
