/**
 * Values as Python writes them, because MLflow's messages quote them so and clients' tests compare the messages.
 */

/** As `json.dumps(value, sort_keys=True, separators=(",", ":"))`: ASCII only, keys in order. */
export function pythonJson(value: unknown): string {
  return JSON.stringify(sorted(value)).replace(
    /[^\0-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** As `json.dumps(value)`: a space after each comma and colon, ASCII only. */
export function pythonDumps(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonDumps).join(', ')}]`
  if (typeof value !== 'object' || value === null) return pythonJson(value ?? null)
  const fields = Object.entries(value).map(([key, item]) => `${pythonJson(key)}: ${pythonDumps(item)}`)
  return `{${fields.join(', ')}}`
}

/** As `repr(text)`: in single quotes, unless it has some and no double quotes. */
export function pythonText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t')
  return `${quote}${quote === "'" ? escaped.replaceAll("'", "\\'") : escaped}${quote}`
}

/** As `repr` of a list of texts. */
export const pythonList = (texts: readonly string[]): string => `[${texts.map(pythonText).join(', ')}]`

/** As `float.__repr__`, for what JSON can hold. */
export function pythonFloat(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e16) return `${Object.is(value, -0) ? '-0' : value}.0`
  return String(value).replace(/e([+-])(\d)$/, 'e$10$2')
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  )
}
