import type { Promotion } from './promotion.ts'

export const promotionAuthor = { name: 'Modelwright', email: 'modelwright@localhost' }

const trailerWord = 'Modelwright-Promotion'

/** What Git's history says of a promotion: a line for people, the reasons, and trailers that lead back to the records. */
export function commitMessage(promotion: Omit<Promotion, 'message'>): string {
  const { model, version, environment } = promotion
  const subject =
    promotion.kind === 'revert'
      ? `Set ${environment} back to ${model} version ${version}`
      : `Promote ${model} version ${version} to ${environment}`
  const trailers = [
    `${trailerWord}: ${promotion.id}`,
    ...(promotion.executionId ? [`Modelwright-Execution: ${promotion.executionId}`] : []),
    ...(promotion.verdictId ? [`Modelwright-Verdict: ${promotion.verdictId} ${promotion.verdictOutcome}`] : []),
    ...(promotion.decidedBy ? [`Modelwright-Approved-By: ${oneLine(promotion.decidedBy)}`] : []),
  ]
  return `${subject}\n\n${promotion.reasons.map((reason) => `- ${oneLine(reason)}`).join('\n')}\n\n${trailers.join('\n')}\n`
}

/** A name or reason must not smuggle in a trailer of its own. */
const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim()

/** Only the last paragraph counts, as Git reads trailers. */
export const carriesPromotion = (message: string, promotionId: string): boolean =>
  (
    message
      .trimEnd()
      .split(/\n\s*\n/)
      .at(-1) ?? ''
  )
    .split('\n')
    .includes(`${trailerWord}: ${promotionId}`)
