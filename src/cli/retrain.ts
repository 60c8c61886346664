import { AppError } from '../kernel/errors.ts'
import { requestRetraining } from '../retraining/retraining-contract.ts'
import { listDeployments } from '../rollouts/rollouts-contract.ts'
import type { CliContext } from './context.ts'
import { shortId } from './words.ts'

/** `modelwright retrain [ENVIRONMENT]`: production, or the only one, where none is named. */
export async function retrain(
  context: CliContext,
  named: string | undefined,
  options: { note?: string },
): Promise<number> {
  const { io } = context
  const project = await context.project()
  const environment = named ?? (await usualEnvironment(context, project))
  const retraining = await (await context.client())(requestRetraining, {
    params: { project },
    body: { environment, ...(options.note ? { note: options.note } : {}) },
  })
  if (io.json) io.out(`${JSON.stringify(retraining)}\n`)
  else {
    const { state, executionId, error, frozen } = retraining
    for (const { dataset, rows } of frozen ?? []) io.out(`${dataset} with ${rows} labelled rows of ${environment}\n`)
    if (executionId)
      io.out(
        `Retraining for ${environment} is execution ${shortId(executionId)}: \`modelwright logs -f ${shortId(executionId)}\`\n`,
      )
    else if (error) io.out(`Retraining for ${environment} failed to start: ${error.message}\n${error.next}\n`)
    else io.out(`Retraining for ${environment} is ${state}; its execution starts in a moment.\n`)
  }
  return retraining.state === 'failed' ? 1 : 0
}

async function usualEnvironment(context: CliContext, project: string): Promise<string> {
  const { items } = await (await context.client())(listDeployments, { params: { project } })
  const names = items.map(({ environment }) => environment)
  if (names.includes('production')) return 'production'
  if (names.length === 1) return names[0]!
  throw new AppError(
    'BadRequest',
    names.length === 0
      ? `${project} declares no deployment.`
      : `${project} has several environments: ${names.join(', ')}.`,
    names.length === 0 ? 'Declare one under deployments: in modelwright.yaml.' : 'Name one of them.',
  )
}
