import { messageOf } from '../../kernel/errors.ts'
import { checkMetric, checkRunId } from '../../tracking/decide/limits.ts'
import type { Refusal } from '../imports.ts'
import type { ImportRecord } from '../imports-contract.ts'

/**
 * Why a record cannot be kept, whatever else is here; undefined where it can. Only what would break reading is refused: limits on
 * lengths were the source's matter. Source of the forms: mlflow 3.17.2, utils/validation.py.
 */
export function refuseRecord(record: ImportRecord): Refusal | undefined {
  if (holdsNul(record)) return refusal('a text in it holds the character NUL, which PostgreSQL cannot keep')
  switch (record.kind) {
    case 'experiment':
      if (record.name === '') return refusal('its name is empty')
      return undefined
    case 'run':
      return unless(() => checkRunId(record.id))
    case 'points':
      if (record.timestamps.length !== record.values.length || record.steps.length !== record.values.length)
        return refusal(
          `its columns are of ${record.timestamps.length}, ${record.steps.length} and ${record.values.length} entries`,
        )
      return unless(() =>
        checkMetric({ key: record.key, value: 0, step: 0, timestamp: record.timestamps.find(isNegative) ?? 0 }),
      )
    case 'logged-model':
      return /^m-[\w-]{1,255}$/.test(record.id) ? undefined : refusal(`"${record.id}" is not in the form of a model id`)
    case 'registered-model':
      return record.name.trim() === '' ? refusal('its name is empty') : undefined
    case 'model-version':
      return undefined
  }
}

/** What a person calls it. */
export function nameOfRecord(record: ImportRecord): string {
  switch (record.kind) {
    case 'experiment':
      return record.name
    case 'registered-model':
      return record.name
    case 'points':
      return `${record.run} ${record.key}`
    case 'model-version':
      return `${record.model}/${record.version}`
    default:
      return record.id
  }
}

const refusal = (reason: string): Refusal => ({ reason, next: 'Mend it at the source, or go without it.' })

/** What tracking itself would refuse would take the whole batch down with it. */
function unless(check: () => void): Refusal | undefined {
  try {
    check()
  } catch (error) {
    return refusal(messageOf(error))
  }
}

const isNegative = (timestamp: number): boolean => timestamp < 0

function holdsNul(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('\0')
  if (typeof value !== 'object' || value === null) return false
  // Columns of numbers are long, and hold none.
  if (Array.isArray(value) && typeof value[0] === 'number') return false
  return Object.values(value).some(holdsNul)
}
