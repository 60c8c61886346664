import { checkTag, invalid } from '../../tracking/decide/limits.ts'

/** Lengths in characters. Source: mlflow 3.17.2, utils/validation.py and tracing/constant.py. */
export const traceLimits = {
  traceId: 250,
  name: 4096,
  tagKey: 250,
  tagValue: 8000,
  sessionId: 250,
  linksPerRequest: 100,
  searchResults: 500,
} as const

/** The tag with a value that is cut where it is too long. Throws BadRequest for a key that MLflow refuses. */
export function checkedTraceTag(key: string, value: string): { key: string; value: string } {
  refuseNul('Trace tag', key, value)
  checkTag({ key, value })
  return { key, value: value.slice(0, traceLimits.tagValue) }
}

/** As `checkedTraceTag`, for tags that nobody set on purpose: undefined where MLflow would refuse it. */
export function cutTraceTag(key: string, value: string): { key: string; value: string } | undefined {
  try {
    return checkedTraceTag(key, value)
  } catch {
    return undefined
  }
}

export function checkLength(what: string, limit: number, value: string | undefined): void {
  if (value !== undefined && value.length > limit)
    throw invalid(`'${what}' exceeds the maximum length of ${limit} characters`)
}

/** PostgreSQL's texts cannot hold U+0000. */
export function refuseNul(what: string, ...values: readonly (string | undefined)[]): void {
  if (values.some((value) => value?.includes('\0')))
    throw invalid(`${what} holds the character U+0000, which a database cannot keep.`)
}
