import { type getExecution, listExecutions } from '../executions/executions-contract.ts'
import { AppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import type { CliContext } from './context.ts'

export type ExecutionSummary = OutputOf<typeof listExecutions>['items'][number]
export type ExecutionDetail = OutputOf<typeof getExecution>

const lookedThrough = 500
const wholeId = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * The execution that a person means: `latest` (or nothing), `latest~2`, a whole id, the beginning or the end of one, or a
 * commit's beginning (its newest execution).
 */
export async function findExecution(context: CliContext, which = 'latest'): Promise<string> {
  if (wholeId.test(which)) return which
  const items = await newestExecutions(context)
  const nth = /^latest(?:~(\d+))?$/.exec(which)
  if (nth) return nthExecution(items, Number(nth[1] ?? 0))
  const found = items.filter(({ id }) => id.startsWith(which) || id.endsWith(which))
  if (found.length === 1) return found[0]!.id
  if (found.length > 1)
    throw new AppError(
      'BadRequest',
      `"${which}" may be ${found.length} executions: ${found
        .slice(0, 5)
        .map(({ id }) => id)
        .join(', ')}${found.length > 5 ? ', …' : ''}.`,
      'Write more of the id.',
    )
  const ofCommit = /^[0-9a-f]{6,40}$/.test(which) ? items.find(({ commit }) => commit.startsWith(which)) : undefined
  if (ofCommit) return ofCommit.id
  throw new AppError('NotFound', `There is no execution "${which}".`, '`modelwright runs` lists the executions.')
}

/** Of the project here; of all where there is none here, so that an id is found from anywhere. */
export async function newestExecutions(context: CliContext, limit = lookedThrough): Promise<ExecutionSummary[]> {
  const client = await context.client()
  const project = await context.projectHere()
  return (await client(listExecutions, { query: { limit, ...(project ? { project } : {}) } })).items
}

function nthExecution(items: readonly ExecutionSummary[], back: number): string {
  const found = items[back]
  if (found) return found.id
  throw new AppError(
    'NotFound',
    items.length === 0 ? 'Nothing was executed yet.' : `There are only ${items.length} executions.`,
    'Start one with `modelwright run` or `git push modelwright`.',
  )
}

/** Why it began, in few words. */
export function triggerText(trigger: ExecutionSummary['trigger']): string {
  const fact = (name: string): string => (typeof trigger[name] === 'string' ? trigger[name] : '')
  switch (trigger.kind) {
    case 'push':
      return `push to ${fact('branch')}`
    case 'reproduction':
      return `reproduction of ${fact('model')} ${String(trigger.version)}`
    case 'run':
      return 'modelwright run'
    case 'person':
      return fact('note') ? `asked for: ${fact('note')}` : 'asked for by a person'
    case 'drift':
      return `drift in ${fact('environment')}`
    case 'metric':
      return `${fact('metric')} in ${fact('environment')}`
    case 'schedule':
      return `schedule: ${fact('schedule')}`
  }
}
