import { explainStep } from '../executions/explain-contract.ts'
import type { CliContext } from './context.ts'
import { findExecution } from './find-execution.ts'
import { wholeCommit } from './plan.ts'
import { readSettings } from './read-settings.ts'

export type ExplainOptions = { at?: string; against?: string; set?: string[] }

/** `modelwright explain STEP`: of a commit that the server has; the head of the authoritative branch where none is named. */
export async function explain(context: CliContext, step: string, options: ExplainOptions): Promise<number> {
  const { io } = context
  const project = await context.project()
  const commit = options.at ? await wholeCommit(context, options.at) : undefined
  const against = options.against ? await findExecution(context, options.against) : undefined
  const explained = await (await context.client())(explainStep, {
    params: { project },
    body: {
      step,
      set: readSettings(options.set ?? []),
      ...(commit ? { commit } : {}),
      ...(against ? { against } : {}),
    },
  })
  io.out(io.json ? `${JSON.stringify(explained)}\n` : `${explained.lines.join('\n')}\n`)
  return 0
}
