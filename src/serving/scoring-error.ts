/** An error in MLflow's form, as its clients expect it from `/invocations`. */
export class ScoringError extends Error {
  readonly status: number
  readonly errorCode: string
  readonly retryAfterSeconds: number | undefined

  constructor(status: number, errorCode: string, message: string, retryAfterSeconds?: number) {
    super(message)
    this.name = 'ScoringError'
    this.status = status
    this.errorCode = errorCode
    this.retryAfterSeconds = retryAfterSeconds
  }
}

export const badRequest = (message: string): ScoringError => new ScoringError(400, 'BAD_REQUEST', message)
export const invalidInput = (message: string): ScoringError => new ScoringError(400, 'INVALID_PARAMETER_VALUE', message)
export const unavailable = (message: string, retryAfterSeconds = 1): ScoringError =>
  new ScoringError(503, 'TEMPORARILY_UNAVAILABLE', message, retryAfterSeconds)
/** The model is well, but there are too many requests at once. */
export const tooMany = (message: string, retryAfterSeconds: number): ScoringError =>
  new ScoringError(429, 'RESOURCE_EXHAUSTED', message, retryAfterSeconds)
export const notFound = (message: string): ScoringError => new ScoringError(404, 'RESOURCE_DOES_NOT_EXIST', message)
