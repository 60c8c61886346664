import type { LogPolicy } from '../../projects/index.ts'
import { isKept, loggedReason, loggedRows } from '../decide/log-policy.ts'
import type { PredictionRecord, ServedVersion } from '../gateway-state.ts'
import type { InputRows } from '../input-failure.ts'
import type { ProblemCounts } from '../input-handling.ts'
import type { JournalEntry } from './journal-writer.ts'

/** What came of one request. */
export type Outcome = Pick<PredictionRecord, 'id' | 'at' | 'project' | 'environment' | 'outcome' | 'latencyMs'> & {
  served: ServedVersion
  request: InputRows
  warnings: ProblemCounts
  /** Why it was not answered: in words, which may tell values, and as a kind. */
  error?: string
  kind?: string
  outputs?: () => Buffer
}

/** A request as the log's policy wants it written down. Cheap: it stands between the answer and its client. */
export function journalEntry(
  { served, request, warnings, error, kind = '', outputs, ...facts }: Outcome,
  { policy, hash }: { policy: LogPolicy | undefined; hash: (text: string) => string },
): JournalEntry {
  const isWhole = !policy && served.inputs.key === undefined
  const written = outputs && isWhole ? request.written : undefined
  const rows = written ? [] : isKept(policy, facts.id) ? keptRows(request, served, policy, hash) : undefined
  const record: PredictionRecord = {
    ...facts,
    model: served.model,
    version: served.version,
    digest: served.digest,
    rows: rows ?? [],
    ...(rows ? {} : { sampled: false }),
    ...(Object.keys(warnings).length > 0 ? { warnings } : {}),
    ...(error === undefined ? {} : { error: rows ? loggedReason(policy, error, kind) : kind }),
  }
  if (!outputs || !rows) return { record }
  return { record, outputs: outputs(), ...(written ? { written } : {}) }
}

/** Without the key of the hashes no row is kept rather than a clear one; the answer goes on. */
function keptRows(
  { rows }: InputRows,
  { inputs: { key: keyColumn } }: ServedVersion,
  policy: LogPolicy | undefined,
  hash: (text: string) => string,
): PredictionRecord['rows'] | undefined {
  try {
    return loggedRows(rows, { policy, keyColumn, hash })
  } catch {
    return undefined
  }
}
