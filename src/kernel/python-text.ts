import { AppError } from './errors.ts'

/**
 * Values as Python writes them, because MLflow's messages quote them so and clients' tests compare the messages.
 */

/** As `json.dumps(value, sort_keys=True, separators=(",", ":"))`: ASCII only, keys in order. */
export function pythonJson(value: unknown): string {
  return asciiJson(JSON.stringify(sorted(value)))
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
  const escaped = text.replace(/[\\\p{C}\p{Z}]/gu, escapedForm)
  return `${quote}${quote === "'" ? escaped.replaceAll("'", "\\'") : escaped}${quote}`
}

const shortEscapes: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', ' ': ' ' }

/** What cannot be seen is written by its number. */
function escapedForm(character: string): string {
  const number = character.codePointAt(0)!.toString(16)
  const [letter, digits] = number.length <= 2 ? ['x', 2] : number.length <= 4 ? ['u', 4] : ['U', 8]
  return shortEscapes[character] ?? `\\${letter}${number.padStart(digits, '0')}`
}

/** As `repr` of a list of texts. */
export const pythonList = (texts: readonly string[]): string => `[${texts.map(pythonText).join(', ')}]`

/** As `repr(value)` of a float: 1.0, 1e-05, 1e+16, nan, inf. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  const [mantissa = '', exponentText = '0'] = value.toExponential().split('e')
  const exponent = Number(exponentText)
  if (exponent < -4 || exponent >= 16)
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
  const digits = mantissa.replace(/[-.]/g, '')
  const sign = value < 0 ? '-' : ''
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  if (digits.length <= exponent + 1) return `${sign}${digits.padEnd(exponent + 1, '0')}.0`
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`
}

/** As `json.dumps(value)` of a float: NaN and the infinities are words there. */
export const pythonJsonFloat = (value: number): string => (Number.isFinite(value) ? pythonFloat(value) : String(value))

/** Deeper than anything that means something, and far from the end of the stack. */
const deepest = 500

function sorted(value: unknown, depth = 0): unknown {
  if (depth > deepest)
    throw new AppError('BadRequest', `The JSON is nested more than ${deepest} levels deep.`, 'Send it flatter.')
  if (Array.isArray(value)) return value.map((item) => sorted(item, depth + 1))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item, depth + 1)]),
  )
}

/** The same JSON text in ASCII, as `json.dumps` writes it unless told otherwise. */
export const asciiJson = (json: string): string =>
  json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
