import { canary } from './stages/canary.ts'
import { drift } from './stages/drift.ts'
import { firstModel } from './stages/first-model.ts'
import { refusedModel } from './stages/refused-model.ts'
import { retraining } from './stages/retraining.ts'
import { whyProduction } from './stages/why-production.ts'
import type { Stage, StageName } from './story.ts'

/** The story in its order. */
export const stages: readonly { name: StageName; stage: Stage }[] = [
  { name: 'first', stage: firstModel },
  { name: 'refused', stage: refusedModel },
  { name: 'canary', stage: canary },
  { name: 'drift', stage: drift },
  { name: 'retrained', stage: retraining },
  { name: 'why', stage: whyProduction },
]
