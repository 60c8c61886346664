import { AppError, isAppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { approvePromotion, listPromotions, rejectPromotion } from '../promotions/promotions-contract.ts'
import type { CliContext } from './context.ts'
import { table } from './table.ts'
import { shortCommit, shortId } from './words.ts'

type Promotion = OutputOf<typeof listPromotions>['items'][number]

const wholeId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** `modelwright approve|reject [PROMOTION|VERSION|ENVIRONMENT]`: the only one that waits, where none is named. */
export async function decidePromotion(
  context: CliContext,
  what: 'approve' | 'reject',
  which: string | undefined,
  options: { environment?: string },
): Promise<number> {
  const { io } = context
  const client = await context.client()
  const waiting = which && wholeId.test(which) ? { id: which } : await meantOrRollout(context, what, which, options)
  if ('rollout' in waiting) return (await import('./rollouts.ts')).steerRollout(context, 'continue', waiting.rollout)
  const { id } = waiting
  const decided = await client(what === 'approve' ? approvePromotion : rejectPromotion, { params: { id } })
  if (io.json) io.out(`${JSON.stringify(decided)}\n`)
  else io.out(`${told(what, decided)}\n`)
  return 0
}

/** A rollout that waits for a person is approved by going on, where no promotion is meant. */
async function meantOrRollout(
  context: CliContext,
  what: 'approve' | 'reject',
  which: string | undefined,
  options: { environment?: string },
): Promise<Promotion | { rollout: string }> {
  try {
    return await meant(context, what, which, options)
  } catch (error) {
    if (what === 'reject' || !isAppError(error, 'NotFound')) throw error
    const { waitingRollout } = await import('./rollouts.ts')
    const rollout = await waitingRollout(context, which ?? options.environment)
    if (rollout) return { rollout }
    throw error
  }
}

async function meant(
  context: CliContext,
  what: 'approve' | 'reject',
  which: string | undefined,
  { environment }: { environment?: string },
): Promise<Promotion> {
  const project = await context.project()
  const { items } = await (await context.client())(listPromotions, {
    params: { project },
    query: { waiting: 'true', limit: 1000 },
  })
  const open = items.filter((one) => environment === undefined || one.environment === environment)
  // A barred version waits for nobody; it is approved only by name.
  const candidates = which ? open.filter((one) => isNamed(one, which)) : open.filter(({ state }) => state !== 'barred')
  if (candidates.length === 1) return candidates[0]!
  if (candidates.length > 1)
    throw new AppError(
      'BadRequest',
      `${candidates.length} promotions ${which ? `may be "${which}"` : 'wait'}:\n${listed(candidates)}`,
      `Name one: \`modelwright ${what} ${shortId(candidates[0]!.id)}\`.`,
    )
  throw new AppError(
    'NotFound',
    which ? `No promotion "${which}" waits in ${project}.` : `Nothing waits in ${project}.`,
    open.length > 0 ? `These can be decided:\n${listed(open)}` : '`modelwright status` shows what is under way.',
  )
}

const isNamed = (promotion: Promotion, which: string): boolean =>
  promotion.id.endsWith(which) ||
  promotion.id.startsWith(which) ||
  promotion.proposalBranch === which ||
  [`${promotion.version}`, `v${promotion.version}`, `${promotion.model}@${promotion.version}`].includes(which)

const listed = (promotions: readonly Promotion[]): string =>
  table(
    ['PROMOTION', 'WHAT', 'MODEL', 'VERSION', 'ENVIRONMENT', 'STATE'],
    promotions.map((one) => [shortId(one.id), one.kind, one.model, `v${one.version}`, one.environment, one.state]),
  )
    .map((line) => `  ${line}`)
    .join('\n')

function told(what: 'approve' | 'reject', { model, version, environment, state, commit, note }: Promotion): string {
  const name = `${model} version ${version}`
  if (what === 'reject') return `${name} is rejected for ${environment}; it will not be proposed there again.`
  if (commit)
    return `${name} is approved for ${environment}: commit ${shortCommit(commit)} declares it, and its rollout begins.`
  return `${name} is approved for ${environment}; its commit is ${state === 'blocked' ? `blocked: ${note ?? 'see modelwright status'}` : 'on its way'}.`
}
