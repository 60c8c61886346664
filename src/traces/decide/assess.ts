import type { EpochMs } from '../../kernel/time.ts'
import { invalid } from '../../tracking/decide/limits.ts'
import type { Assessment, AssessmentChange } from '../traces.ts'
import { plain } from './python-json.ts'

/**
 * What averages of an assessment count: finite numbers as they are; true and "yes" as 1, false and "no" as 0. Only the former
 * can be compared with numbers. Source: mlflow 3.17.2, store/tracking/utils/trace_analytics.py (assessment_aggregate).
 */
export function countedValue(json: string): { number: number | undefined; isNumber: boolean } {
  const value = plain(json)
  if (typeof value === 'boolean') return { number: value ? 1 : 0, isNumber: false }
  if (typeof value === 'number') return { number: value, isNumber: true }
  const word = typeof value === 'string' ? value.trim().toLowerCase() : ''
  if (word === 'yes' || word === 'no') return { number: word === 'yes' ? 1 : 0, isNumber: false }
  return { number: undefined, isNumber: false }
}

/** Metadata is added to; a kind stays what it is; the source and the span never change. Throws BadRequest. */
export function merged(assessment: Assessment, change: AssessmentChange, now: EpochMs): Assessment {
  if (change.expectation && change.feedback)
    throw invalid('Cannot specify both `expectation` and `feedback` parameters.')
  if (change.expectation && assessment.kind !== 'expectation')
    throw invalid('Cannot update expectation value on a Feedback assessment.')
  if (change.feedback && assessment.kind !== 'feedback')
    throw invalid('Cannot update feedback value on an Expectation assessment.')
  return {
    ...assessment,
    name: change.name ?? assessment.name,
    ...(change.expectation ? { value: change.expectation.value } : {}),
    ...(change.feedback ? { value: change.feedback.value, error: change.feedback.error } : {}),
    ...(change.rationale !== undefined && assessment.kind !== 'expectation' ? { rationale: change.rationale } : {}),
    metadata: change.metadata ? { ...assessment.metadata, ...change.metadata } : assessment.metadata,
    valid: change.valid ?? assessment.valid,
    updatedAt: now,
  }
}
