// Gates: judges a candidate against fixed limits and against the champion, and says why, objective by objective.
// It owns the gate's words, the rule that turns numbers into a verdict, and the importer of Keptn's SLO files.
// It never measures anything itself, and never promotes: it takes values, and hands back a verdict with its reasons.
// Owns the table gate_verdicts.
export { evaluateSlo } from './decide/evaluate-slo.ts'
export type * from './gate.ts'
export { GateService } from './gate-service.ts'
export { GateStore } from './gate-store.ts'
export { gateEndpoints } from './gates-routes.ts'
export type * from './keptn-slo.ts'
export { parseSlo } from './parse-slo.ts'
export { readPreviousEvaluations, readSliValues } from './read-sli-values.ts'
