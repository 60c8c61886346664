import { badRequest, invalidInput, ScoringError, unavailable } from '../scoring-error.ts'
import type { Refusal } from './model-backend.ts'

/** What a client is told of a question that was not answered. */
export function refusalError({ kind, message }: Refusal): ScoringError {
  switch (kind) {
    case 'request':
      return badRequest(message)
    case 'schema':
      return invalidInput(message)
    case 'model':
      return new ScoringError(500, 'INTERNAL_ERROR', `The model failed on this input: ${message}`)
    case 'timeout':
      return new ScoringError(504, 'DEADLINE_EXCEEDED', message)
    case 'died':
    case 'busy':
    case 'cancelled':
    case 'unavailable':
      return unavailable(message)
  }
}
