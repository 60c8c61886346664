import { pythonJsonFloat } from '../../kernel/python-text.ts'

/**
 * JSON as Python writes and reads it. MLflow keeps each attribute of a span as such a text, shows its first characters, and
 * finds spans by it; and 1 and 1.0 are different values there.
 */

/** What JavaScript's numbers cannot tell apart is written from its source. */
export class NumberText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export type PythonValue =
  | null
  | boolean
  | string
  | number
  | NumberText
  | readonly PythonValue[]
  | { readonly [key: string]: PythonValue }

/** `json.dumps(value, ensure_ascii=False)`. A number that is whole is written without a point; see `pythonJsonFloat`. */
export function dumps(value: PythonValue): string {
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : pythonJsonFloat(value)
  if (value instanceof NumberText) return value.text
  if (Array.isArray(value)) return `[${value.map(dumps).join(', ')}]`
  const entries = Object.entries(value as Record<string, PythonValue>)
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}: ${dumps(item)}`).join(', ')}}`
}

/**
 * Reads with each number as its own text. Undefined for what is no JSON. NaN and the infinities are read where they stand
 * alone, as attributes have them.
 */
export function loads(text: string): PythonValue | undefined {
  if (/^-?(NaN|Infinity)$/.test(text)) return new NumberText(text)
  try {
    return JSON.parse(text, numbersAsTexts as Parameters<typeof JSON.parse>[1]) as PythonValue
  } catch {
    return undefined
  }
}

function numbersAsTexts(_key: string, value: unknown, context: { source?: string }): unknown {
  return typeof value === 'number' ? new NumberText(context.source ?? String(value)) : value
}

/** As `loads`, with numbers as numbers. */
export function plain(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A text in JSON is that text; everything else stays the text that it is. */
export function unwrapped(text: string): string {
  const value = plain(text)
  return typeof value === 'string' ? value : text
}
