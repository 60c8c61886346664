import { awaitPromotion, awaitVerdict, followPush, followRollout, rowsText } from '../follow.ts'
import { commits, type Stage } from '../story.ts'
import { duringTraffic, untilAnswered } from '../traffic.ts'

/** At this pace each of the usual biopsies comes about once during a rollout: rows that repeat would look like drift. */
export const usualPerSecond = 10

export const canary: Stage = {
  title: 'A better model goes out by canary',
  about:
    '10 %, 50 %, 100 % of real requests, each step decided from what was observed. Intervals of seconds are for the demo; in earnest they are minutes or hours.',
  async perform(demo) {
    const { narrate, repository, rows } = demo
    await untilAnswered(demo)
    await repository.pull()
    const commit = await repository.commit(commits.canary)
    for (const line of await repository.changeOf(commit)) narrate.quote(line)
    narrate.command('git push modelwright main')
    await repository.push(narrate.quote)
    const execution = await followPush(demo, commit)
    await awaitVerdict(demo, execution.id)
    const { digest } = await awaitPromotion(demo, execution.id)
    narrate.step(`production is asked about ${rowsText(rows.usual.length)} in turn, ${usualPerSecond} a second`)
    const { requests } = await duringTraffic(demo, rows.usual, usualPerSecond, (during) =>
      followRollout(during, digest),
    )
    narrate.good(`${requests} requests during the rollout, none failed`)
  },
}
