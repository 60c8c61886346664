import { cancelExecution } from '../executions/executions-contract.ts'
import type { CliContext } from './context.ts'
import { findExecution } from './find-execution.ts'
import { shortId } from './words.ts'

export async function cancel(context: CliContext, which: string | undefined): Promise<number> {
  const id = await findExecution(context, which)
  const execution = await (await context.client())(cancelExecution, { params: { id } })
  if (context.io.json) context.io.out(`${JSON.stringify(execution)}\n`)
  else context.io.out(`Execution ${shortId(id)} is being cancelled.\n`)
  return 0
}
