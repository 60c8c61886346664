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
      // MLflow says so of everything that a model's code raises: most often it is the input that a model chokes on.
      return badRequest(
        `Encountered an unexpected error while evaluating the model. Verify that the input is compatible with the model for inference. ${message}`,
      )
    case 'timeout':
      return new ScoringError(504, 'DEADLINE_EXCEEDED', message)
    case 'died':
    case 'cancelled':
    case 'unavailable':
      return unavailable(message)
  }
}
