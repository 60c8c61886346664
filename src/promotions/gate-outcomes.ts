import type { GateOutcome } from '../gates/index.ts'

/** The four verdicts as values, for schemas. */
export const gateOutcomes = ['pass', 'warn', 'fail', 'inconclusive'] as const satisfies readonly GateOutcome[]
