import { getDeployment } from '../../rollouts/rollouts-contract.ts'
import { type Demo, environment, project, type Stage } from '../story.ts'
import { ask } from '../traffic.ts'
import { until } from '../until.ts'

export const whyProduction: Stage = {
  title: 'Any answer is one question away',
  about: 'What serves in production, and why.',
  async perform(demo) {
    await serving(demo)
    demo.narrate.command('modelwright why production')
    await demo.whyProduction()
  },
}

/** After a second start the gateway first loads the model again. */
async function serving(demo: Demo): Promise<void> {
  let last = ''
  await until(
    demo,
    { what: 'Production serving what Git declares', withinMs: 60_000, lastSeen: () => last },
    async () => {
      const { state, reason } = await demo.client(getDeployment, { params: { project, environment } })
      last = `${state}${reason ? `: ${reason}` : ''}`
      return state === 'serving' ? state : undefined
    },
  )
  const row = demo.rows.mixed.at(-1)!
  const { prediction } = await ask(demo, row)
  demo.narrate.good(`Asked about ${row.key}: "${prediction}" (it was ${row.diagnosis})`)
}
