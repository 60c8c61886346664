import type { OutputOf } from '../../kernel/route.ts'
import type { listReproductions } from '../../reproductions/reproductions-contract.ts'
import type { whyVersion } from '../lineage-contract.ts'

type Reproduction = OutputOf<typeof listReproductions>['items'][number]
type Reproduced = NonNullable<OutputOf<typeof whyVersion>['reproduced']>

const words = {
  identical: 'reproducible: bit for bit',
  'equal within tolerance': 'reproducible: equal metrics and predictions',
  different: 'not reproducible',
} as const

/**
 * What is known of whether a version can be made again, from its reproductions (newest first): the newest verdict, else what became
 * of the newest. What another commit would make of it says nothing of the version.
 */
export function reproduced(all: readonly Reproduction[]): { reproduced?: Reproduced } {
  const own = all.filter(({ fromRecord }) => fromRecord)
  const one = own.find(({ state }) => state === 'judged') ?? own[0]
  if (!one) return {}
  const { id, state, comparison, sentence, createdAt, endedAt, error } = one
  const at = endedAt ?? createdAt
  const outcome = comparison?.outcome
  const told = sentence ?? error?.message
  const word = outcome ? words[outcome] : state === 'running' ? 'being made again' : 'could not be made again'
  const day = new Date(at).toISOString().slice(0, 10)
  const text = state === 'running' ? word : `${word}, checked ${day}`
  return {
    reproduced: { id, state, text, at, ...(outcome ? { outcome } : {}), ...(told ? { sentence: told } : {}) },
  }
}
