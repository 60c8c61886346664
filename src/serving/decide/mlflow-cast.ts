/**
 * Pure. A value of a request as MLflow casts it into a column of its signature (what it accepts on purpose: whole numbers into
 * double, 1.5 into long, "yes" into boolean, 5 into string).
 * @param type MLflow's name of the column's type
 * @returns undefined where the value cannot be one of the type; a missing value is NaN in columns of floats and nothing elsewhere
 */
export function mlflowCast(type: string, value: unknown): number | bigint | boolean | string | null | undefined {
  switch (type) {
    case 'float':
    case 'double':
      return value === null ? null : numberOf(value)
    case 'integer':
    case 'long': {
      // Python's int("1.5") is an error, int(1.5) is not.
      if (typeof value === 'string' && !/^\s*[+-]?\d+\s*$/.test(value)) return undefined
      const number = typeof value === 'bigint' ? value : numberOf(value)
      return typeof number === 'number' && Number.isFinite(number) ? Math.trunc(number) : bigintOrNothing(number)
    }
    case 'boolean':
      return Array.isArray(value) ? undefined : Boolean(value)
    default:
      return value === null || typeof value === 'object' ? undefined : textOf(value)
  }
}

function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return Number(value)
  if (typeof value === 'boolean') return value ? 1 : 0
  // JavaScript reads 0x3 and 0b1 as numbers, Python does not.
  if (typeof value !== 'string' || value.trim() === '' || /^\s*0[xob]/i.test(value)) return undefined
  const number = Number(value)
  return Number.isNaN(number) && value.trim().toLowerCase() !== 'nan' ? undefined : number
}

const bigintOrNothing = (value: number | bigint | undefined): bigint | undefined =>
  typeof value === 'bigint' ? value : undefined

/** As Python writes it. */
const textOf = (value: unknown): string => (value === true ? 'True' : value === false ? 'False' : String(value))
