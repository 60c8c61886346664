import { type Culprit, type ErrorCode, errorCodes } from './error-codes.ts'

/** Where in a user's file the trouble is; line and column count from 1. */
export type SourcePlace = { file: string; line?: number; column?: number }

/**
 * The one error that crosses doors. It says what happened with the actual values, and the next move;
 * status and culprit follow from the code (error-codes.ts). No secret may enter a message.
 */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly next: string
  readonly place: SourcePlace | undefined

  constructor(code: ErrorCode, message: string, next: string, extra: { cause?: unknown; place?: SourcePlace } = {}) {
    super(message, extra.cause === undefined ? undefined : { cause: extra.cause })
    this.name = 'AppError'
    this.code = code
    this.next = next
    this.place = extra.place
  }

  get status(): number {
    return errorCodes[this.code].status
  }

  get culprit(): Culprit {
    return errorCodes[this.code].culprit
  }

  toJSON(): ErrorBody {
    return { code: this.code, message: this.message, next: this.next, ...(this.place ? { place: this.place } : {}) }
  }
}

export type ErrorBody = { code: ErrorCode; message: string; next: string; place?: SourcePlace }

export const isAppError = (error: unknown, code?: ErrorCode): error is AppError =>
  error instanceof AppError && (code === undefined || error.code === code)

/** One that others mend or wait out: no bug of ours. */
export const isTheirs = (error: unknown): error is AppError => isAppError(error) && error.culprit !== 'ours'

/** What a caught value says: anything can be thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** A state machine or a switch met a case that its table does not list. */
export const bug = (message: string, cause?: unknown): AppError =>
  new AppError('Internal', message, 'This is a bug in Modelwright; please report it with the server log.', { cause })
