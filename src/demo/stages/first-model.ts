import { getPrediction } from '../../serving/predictions-contract.ts'
import { awaitPromotion, awaitVerdict, followPush, followRollout } from '../follow.ts'
import { commits, type Demo, type Stage } from '../story.ts'
import { ask } from '../traffic.ts'
import { until } from '../until.ts'

export const firstModel: Stage = {
  title: 'A first model, from git push to production',
  about:
    'The pipeline of modelwright.yaml runs, the gate judges on held-out biopsies, a commit promotes, production serves.',
  async perform(demo) {
    const { narrate, repository } = demo
    const commit = await repository.commit(commits.first)
    narrate.command('git push modelwright main')
    await repository.push(narrate.quote)
    const execution = await followPush(demo, commit)
    await awaitVerdict(demo, execution.id)
    const { digest } = await awaitPromotion(demo, execution.id)
    await followRollout(demo, digest)
    await firstAnswer(demo)
  },
}

async function firstAnswer(demo: Demo): Promise<void> {
  const row = demo.rows.usual[0]!
  const { predictionId, prediction } = await ask(demo, row)
  demo.narrate.good(`Asked about ${row.key}, which nobody trained on: "${prediction}" (it was ${row.diagnosis})`)
  const { record } = await until(
    demo,
    { what: `The record of prediction ${predictionId}`, withinMs: 20_000 },
    async () => {
      const seen = await demo.client(getPrediction, { params: { id: predictionId } })
      return seen.record ? seen : undefined
    },
  )
  demo.narrate.step(`its id ${predictionId} leads to version ${record!.version}`)
}
