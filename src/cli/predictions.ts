import { erasePredictions, listErasures } from '../serving/predictions-contract.ts'
import type { CliContext } from './context.ts'
import { table } from './table.ts'
import { count } from './words.ts'

export type EraseOptions = { subject: string; environment?: string; column?: string }

/** `modelwright predictions erase`: removes a person's rows from the prediction log. */
export async function erase(context: CliContext, { subject, environment, column }: EraseOptions): Promise<number> {
  const { io } = context
  const project = await context.project()
  const client = await context.client()
  const body = {
    subject,
    ...(environment === undefined ? {} : { environment }),
    ...(column === undefined ? {} : { column }),
  }
  const erasure = await client(erasePredictions, { params: { project }, body })
  if (io.json) io.out(`${JSON.stringify(erasure)}\n`)
  else {
    io.out(`${count(erasure.rows, 'row')} removed (${erasure.subjectHash}).\n`)
    if (!erasure.isDone)
      io.out(
        'What the gateway wrote in the last minutes is shown no more and goes with its segment: `modelwright predictions erasures` says when.\n',
      )
  }
  return 0
}

/** `modelwright predictions erasures`: what was removed, and whether all of it is gone. */
export async function erasures(context: CliContext): Promise<number> {
  const { io } = context
  const project = await context.project()
  const client = await context.client()
  const { items } = await client(listErasures, { params: { project }, query: {} })
  if (io.json) io.out(`${JSON.stringify(items)}\n`)
  else if (items.length === 0) io.out('Nothing was erased.\n')
  else
    io.out(
      `${table(
        ['ASKED', 'ENVIRONMENT', 'WHOSE', { head: 'ROWS', align: 'right' }, 'STATE'],
        items.map(({ at, environment = 'all', subjectHash, rows, isDone }) => [
          new Date(at).toISOString(),
          environment,
          subjectHash,
          String(rows),
          isDone ? 'done' : 'under way',
        ]),
      ).join('\n')}\n`,
    )
  return 0
}
