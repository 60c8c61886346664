import { resumeExecution } from '../executions/executions-contract.ts'
import type { CliContext } from './context.ts'
import { findExecution } from './find-execution.ts'
import { followToResult } from './run.ts'
import { shortId } from './words.ts'

/** `modelwright resume`: what a failed or cancelled execution left undone, as a new execution. 0 only if it succeeded. */
export async function resume(
  context: CliContext,
  which: string | undefined,
  { detach }: { detach?: boolean },
): Promise<number> {
  const { io } = context
  const id = await findExecution(context, which)
  const client = await context.client()
  const execution = await client(resumeExecution, { params: { id } })
  if (!io.json)
    io.out(`Carrying on what ${shortId(id)} left undone as execution ${io.color.bold(shortId(execution.id))}\n`)
  if (!detach) return followToResult(context, client, execution.id)
  if (io.json) io.out(`${JSON.stringify({ execution })}\n`)
  else io.out(`Follow it with \`modelwright logs -f ${shortId(execution.id)}\`.\n`)
  return 0
}
