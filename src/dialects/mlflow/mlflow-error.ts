import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ErrorCode } from '../../kernel/error-codes.ts'
import { isAppError } from '../../kernel/errors.ts'
import { asStorageError } from '../../kernel/storage-errors.ts'

/** MLflow's codes and their statuses (mlflow/exceptions.py). */
const statusOf = {
  INTERNAL_ERROR: 500,
  INVALID_STATE: 500,
  TEMPORARILY_UNAVAILABLE: 503,
  NOT_IMPLEMENTED: 501,
  // Stock answers 500, which is nobody's fault here and would make clients try again seven times.
  FEATURE_DISABLED: 501,
  REQUEST_LIMIT_EXCEEDED: 429,
  RESOURCE_CONFLICT: 409,
  RESOURCE_DOES_NOT_EXIST: 404,
  ENDPOINT_NOT_FOUND: 404,
  PERMISSION_DENIED: 403,
  UNAUTHENTICATED: 401,
  BAD_REQUEST: 400,
  RESOURCE_ALREADY_EXISTS: 400,
  INVALID_PARAMETER_VALUE: 400,
} as const

export type MlflowErrorCode = keyof typeof statusOf

/** How MLflow files its own codes (error_classification.py); the others have no class. */
const ours = { sqlstate: 'XXM00', error_class: 'CLIENT_INTERNAL_ERROR' }
const yours = (errorClass: string) => ({ sqlstate: 'KAM00', error_class: errorClass })
const filedAs: Partial<Record<MlflowErrorCode, { sqlstate: string; error_class: string }>> = {
  BAD_REQUEST: yours('INVALID_PARAMETER_VALUE'),
  ENDPOINT_NOT_FOUND: yours('RESOURCE_NOT_FOUND'),
  INTERNAL_ERROR: ours,
  INVALID_PARAMETER_VALUE: yours('INVALID_PARAMETER_VALUE'),
  INVALID_STATE: ours,
  PERMISSION_DENIED: yours('PERMISSION_DENIED'),
  RESOURCE_ALREADY_EXISTS: yours('RESOURCE_ALREADY_EXISTS'),
  RESOURCE_DOES_NOT_EXIST: yours('RESOURCE_NOT_FOUND'),
  TEMPORARILY_UNAVAILABLE: ours,
}

/** An error that only MLflow's form knows; everything else comes from the slices as an AppError. */
export class MlflowError extends Error {
  readonly code: MlflowErrorCode

  constructor(code: MlflowErrorCode, message: string) {
    super(message)
    this.name = 'MlflowError'
    this.code = code
  }
}

const codeOf: Partial<Record<ErrorCode, MlflowErrorCode>> = {
  BadRequest: 'INVALID_PARAMETER_VALUE',
  NotFound: 'RESOURCE_DOES_NOT_EXIST',
  AlreadyExists: 'RESOURCE_ALREADY_EXISTS',
  Conflict: 'RESOURCE_CONFLICT',
  Unauthenticated: 'UNAUTHENTICATED',
  Forbidden: 'PERMISSION_DENIED',
  TooManyAttempts: 'REQUEST_LIMIT_EXCEEDED',
  NotYetSupported: 'NOT_IMPLEMENTED',
}

/** Every error of the dialect's paths leaves in MLflow's form: `{error_code, message, sqlstate, error_class}`. */
export function answerMlflowError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const { code, message } = mlflowForm(asStorageError(thrown))
  if (code === 'INTERNAL_ERROR') request.log.error({ err: thrown, url: request.url }, 'an MLflow request failed')
  if (code === 'UNAUTHENTICATED') void reply.header('www-authenticate', 'Basic realm="Modelwright", charset="UTF-8"')
  if (code === 'REQUEST_LIMIT_EXCEEDED' || code === 'TEMPORARILY_UNAVAILABLE') void reply.header('retry-after', '1')
  void reply.status(statusOf[code]).send({ error_code: code, message, ...filedAs[code] })
}

/** What an error is called and says in MLflow's form. */
export function mlflowForm(error: unknown): { code: MlflowErrorCode; message: string } {
  if (error instanceof MlflowError) return error
  if (isAppError(error)) {
    const code = codeOf[error.code] ?? (error.culprit === 'wait' ? 'TEMPORARILY_UNAVAILABLE' : 'INTERNAL_ERROR')
    // Where who may do what is the matter, the next move helps more than MLflow's own words would.
    const withNext =
      code === 'PERMISSION_DENIED' ||
      code === 'UNAUTHENTICATED' ||
      code === 'TEMPORARILY_UNAVAILABLE' ||
      code === 'REQUEST_LIMIT_EXCEEDED'
    return { code, message: withNext ? `${error.message} ${error.next}` : error.message }
  }
  const { statusCode, message } = error as { statusCode?: number; message?: string }
  if (statusCode !== undefined && statusCode < 500) return { code: 'BAD_REQUEST', message: message ?? 'Bad request' }
  return { code: 'INTERNAL_ERROR', message: `Unexpected: ${message ?? String(error)}` }
}
