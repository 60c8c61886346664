/** Pure. Pieces of a JSON text as they were written: what is only to be copied need not be read, and no number loses a digit. */

const [quote, backslash, comma, colon] = [34, 92, 44, 58]
const [openList, closeList, openMap, closeMap] = [91, 93, 123, 125]

/**
 * Where the value of a member of the outermost map begins; of one that is written twice the last, as JSON.parse has it.
 * @param text valid JSON
 */
export function rawMember(text: string, name: string): number | undefined {
  let at = afterSpace(text, 0)
  if (text.charCodeAt(at) !== openMap) return undefined
  let found: number | undefined
  for (at = afterSpace(text, at + 1); text.charCodeAt(at) === quote; at = afterSpace(text, at)) {
    const end = endOfText(text, at)
    const key = text.slice(at + 1, end - 1)
    const value = afterSpace(text, afterSpace(text, end) + 1)
    if (key === name || (key.includes('\\') && JSON.parse(`"${key}"`) === name)) found = value
    // Without another quotation mark there is no other member.
    if (text.indexOf('"', value) < 0) return found
    at = afterSpace(text, endOfValue(text, value))
    if (text.charCodeAt(at) === comma) at++
  }
  return found
}

/**
 * The elements of a list, each as it is written but on one line; undefined where no list begins there.
 * @param text valid JSON
 */
export function rawElements(text: string, from: number): string[] | undefined {
  if (text.charCodeAt(from) !== openList) return undefined
  const elements: string[] = []
  const firstQuote = placeOf(text, '"', from)
  for (let at = afterSpace(text, from + 1); text.charCodeAt(at) !== closeList; at = afterSpace(text, at)) {
    if (at >= text.length) return undefined
    const end = endOfPlainList(text, at, firstQuote) ?? endOfValue(text, at)
    elements.push(text.slice(at, end))
    at = afterSpace(text, end)
    if (text.charCodeAt(at) === comma) at++
  }
  return text.includes('\n') || text.includes('\r') ? elements.map(onOneLine) : elements
}

/** Of a row of numbers, found by the engine's own search: letter by letter a table takes longer than its prediction. */
function endOfPlainList(text: string, from: number, firstQuote: number): number | undefined {
  if (text.charCodeAt(from) !== openList) return undefined
  const end = placeOf(text, ']', from)
  return end < firstQuote && placeOf(text, '[', from + 1) > end ? end + 1 : undefined
}

function placeOf(text: string, letter: string, from: number): number {
  const at = text.indexOf(letter, from)
  return at < 0 ? Number.POSITIVE_INFINITY : at
}

/** A value as it is written, but on one line. @param text valid JSON */
export const rawValue = (text: string, from: number): string => onOneLine(text.slice(from, endOfValue(text, from)))

/** Line breaks stand between values only: inside a text JSON writes them otherwise. */
const onOneLine = (text: string): string => (/[\n\r]/.test(text) ? text.replace(/[\n\r]+/g, ' ') : text)

const loneSurrogate = /\\(?:ud[89ab][\da-f]{2}\\ud[c-f][\da-f]{2}|(ud[89a-f][\da-f]{2})|.)/gi

/**
 * Halves of a letter that JSON lets stand alone become U+FFFD: DuckDB takes a line that holds one for torn.
 * @param text valid JSON
 */
export const wellFormed = (text: string): string =>
  // A letter alone is found forty times as fast as a pattern.
  text.includes('\\') && /\\ud[89a-f]/i.test(text)
    ? text.replace(loneSurrogate, (written, lone: string | undefined) => (lone ? '\\ufffd' : written))
    : text

function endOfValue(text: string, from: number): number {
  const first = text.charCodeAt(from)
  if (first === quote) return endOfText(text, from)
  if (first !== openList && first !== openMap) return endOfWord(text, from)
  let depth = 0
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) at = endOfText(text, at) - 1
    else if (code === openList || code === openMap) depth++
    else if ((code === closeList || code === closeMap) && --depth === 0) return at + 1
  }
  return text.length
}

/** The end of a text, its quotation marks included. */
function endOfText(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === backslash) at++
    else if (code === quote) return at + 1
  }
  return text.length
}

function endOfWord(text: string, from: number): number {
  let at = from
  while (at < text.length && !endsWord(text.charCodeAt(at))) at++
  return at
}

const endsWord = (code: number): boolean =>
  code <= 32 || code === comma || code === colon || code === closeList || code === closeMap

function afterSpace(text: string, from: number): number {
  let at = from
  while (text.charCodeAt(at) <= 32) at++
  return at
}
