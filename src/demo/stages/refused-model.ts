import { AppError } from '../../kernel/errors.ts'
import { awaitVerdict, followPush } from '../follow.ts'
import { commits, type Stage } from '../story.ts'

export const refusedModel: Stage = {
  title: 'A worse model, refused by the gate',
  about: 'Somebody makes training faster. The new model is compared with the champion on the same held-out rows.',
  async perform(demo) {
    const { narrate, repository } = demo
    await repository.pull()
    const commit = await repository.commit(commits.refused)
    for (const line of await repository.changeOf(commit)) narrate.quote(line)
    narrate.command('git push modelwright main')
    await repository.push(narrate.quote)
    const execution = await followPush(demo, commit)
    const verdict = await awaitVerdict(demo, execution.id)
    if (verdict.outcome !== 'fail')
      throw new AppError(
        'DemoFailed',
        `The gate said ${verdict.outcome} where it should refuse.`,
        `Look into ${demo.logs}.`,
      )
    narrate.good('Nothing was promoted; the first model goes on serving')
  },
}
