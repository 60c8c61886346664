import { AppError, isAppError, messageOf } from './errors.ts'

/** A full or failing disk and a lost database become errors that a user can act on; anything else stays what it is. */
export function asStorageError(error: unknown): unknown {
  if (isAppError(error)) return error
  const text = messageOf(error)
  const code = codeOf(error)
  if (/database or disk is full|disk I\/O error|ENOSPC/.test(text) || code === '53100')
    return new AppError(
      'StorageFull',
      `The data folder's disk is full: ${text}.`,
      'Free space on it; nothing was half written.',
      { cause: error },
    )
  if (isLost(code, text))
    return new AppError(
      'DatabaseUnavailable',
      `The database does not answer: ${text || code}.`,
      'Try again in a moment; the server goes on by itself when the database is back.',
      { cause: error },
    )
  return error
}

/** Connections refused or broken, a server that starts or stops, too many connections (postgresql.org/docs/15/errcodes-appendix.html). */
const isLost = (code: string, text: string): boolean =>
  /^(08...|57P0[1-5]|53300|25P03|ECONN\w+|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH)$/.test(code) ||
  /Connection terminated|timeout exceeded when trying to connect|not queryable/i.test(text)

/** Node tries several addresses of a name and tells of them together. */
function codeOf(error: unknown): string {
  const { code, errors } = error as { code?: unknown; errors?: unknown[] }
  if (typeof code === 'string') return code
  return errors?.length ? codeOf(errors[0]) : ''
}
