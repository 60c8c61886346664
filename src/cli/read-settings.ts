import { AppError } from '../kernel/errors.ts'

/** `depth=5`, `fast=true`, `name=blue`, `name="5"`: numbers and booleans as JSON writes them, everything else as text. */
export function readSettings(words: readonly string[]): Record<string, string | number | boolean> {
  const set: Record<string, string | number | boolean> = {}
  for (const word of words) {
    const at = word.indexOf('=')
    if (at < 1) throw new AppError('BadRequest', `--set ${word} has no value.`, 'Write it as --set name=value.')
    set[word.slice(0, at)] = readScalar(word.slice(at + 1))
  }
  return set
}

/** A text in quotes stays one, whatever stands in it. */
export function readScalar(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  if (/^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return Number(text)
  return /^(".*"|'.*')$/s.test(text) && text.length > 1 ? text.slice(1, -1) : text
}
