import { asciiJson } from '../../kernel/python-text.ts'
import { invalid } from '../../tracking/decide/limits.ts'

/**
 * JSON as Python reads and writes it: numbers keep their text (1.0 is no integer, 2^64 loses nothing), NaN and the infinities are
 * numbers, objects keep the order of their keys. Nothing of it ever becomes a JavaScript number.
 */
export type Json = null | boolean | string | JsonNumber | Json[] | JsonObject
export type JsonObject = Map<string, Json>

export class JsonNumber {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  get isInteger(): boolean {
    return /^-?\d+$/.test(this.text)
  }
}

/** `what` names the text in the error. Throws BadRequest for what is no JSON, or nested deeper than 500 levels. */
export function parseJson(text: string, what: string): Json {
  const reader = new JsonReader(text, what)
  const value = reader.value()
  reader.end()
  return value
}

/** The items of a list, one after the other, so that the list is never there as a whole. Throws as `parseJson`, at the item. */
export function* jsonItems(text: string, what: string): Generator<Json> {
  const reader = new JsonReader(text, what)
  reader.expect('[')
  let first = true
  while (!reader.take(']')) {
    if (!first) reader.expect(',')
    first = false
    yield reader.value()
  }
  reader.end()
}

/** As Python's `json.dumps`: `sorted` by key, `ascii` with everything else escaped. */
export function writeJson(value: Json, style: { sorted?: boolean; ascii?: boolean } = {}): string {
  if (value === null) return 'null'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return style.ascii ? asciiJson(JSON.stringify(value)) : JSON.stringify(value)
  if (value instanceof JsonNumber) return value.text
  if (Array.isArray(value)) return `[${value.map((item) => writeJson(item, style)).join(', ')}]`
  const entries = style.sorted ? [...value].sort(([a], [b]) => (a < b ? -1 : 1)) : [...value]
  return `{${entries.map(([key, item]) => `${writeJson(key, style)}: ${writeJson(item, style)}`).join(', ')}}`
}

const deepest = 500
const blank = /[ \t\n\r]*/y
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|NaN|-?Infinity/y
const word = /true|false|null/y

class JsonReader {
  readonly #text: string
  readonly #what: string
  #position = 0
  #depth = 0

  constructor(text: string, what: string) {
    this.#text = text
    this.#what = what
  }

  value(): Json {
    this.#match(blank)
    switch (this.#text[this.#position]) {
      case '{':
        return this.#nested(() => this.#object())
      case '[':
        return this.#nested(() => this.#list())
      case '"':
        return this.#string()
      default:
        return this.#atom()
    }
  }

  take(character: string): boolean {
    this.#match(blank)
    if (this.#text[this.#position] !== character) return false
    this.#position++
    return true
  }

  expect(character: string): void {
    if (!this.take(character)) throw this.#unreadable(`'${character}'`)
  }

  end(): void {
    this.#match(blank)
    if (this.#position < this.#text.length) throw this.#unreadable('the end')
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > deepest) throw invalid(`The JSON of ${this.#what} is nested deeper than ${deepest} levels.`)
    this.#position++
    const value = read()
    this.#depth--
    return value
  }

  #object(): JsonObject {
    const object: JsonObject = new Map()
    while (!this.take('}')) {
      if (object.size > 0) this.expect(',')
      this.#match(blank)
      if (this.#text[this.#position] !== '"') throw this.#unreadable('a key')
      const key = this.#string()
      this.expect(':')
      object.set(key, this.value())
    }
    return object
  }

  #list(): Json[] {
    const list: Json[] = []
    while (!this.take(']')) {
      if (list.length > 0) this.expect(',')
      list.push(this.value())
    }
    return list
  }

  #string(): string {
    const start = this.#position
    let end = this.#text.indexOf('"', start + 1)
    while (end !== -1 && isEscaped(this.#text, end)) end = this.#text.indexOf('"', end + 1)
    if (end === -1) throw this.#unreadable('the end of a text')
    const inside = this.#text.slice(start + 1, end)
    if (!isPlain(inside)) return this.#unescaped(inside, end)
    this.#position = end + 1
    return inside
  }

  #unescaped(inside: string, end: number): string {
    try {
      const text = JSON.parse(`"${inside}"`) as string
      this.#position = end + 1
      return text
    } catch {
      throw this.#unreadable('a text without control characters and with known escapes')
    }
  }

  #atom(): Json {
    const digits = this.#match(number)
    if (digits) return new JsonNumber(digits)
    switch (this.#match(word)) {
      case 'true':
        return true
      case 'false':
        return false
      case 'null':
        return null
      default:
        throw this.#unreadable('a value')
    }
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#position
    const found = pattern.exec(this.#text)?.[0]
    this.#position += found?.length ?? 0
    return found
  }

  #unreadable(expected: string): Error {
    return invalid(`The JSON of ${this.#what} is not valid: expected ${expected} at character ${this.#position}.`)
  }
}

/** A quote is the text's own where an odd number of backslashes stands before it. */
function isEscaped(text: string, position: number): boolean {
  let first = position
  while (text[first - 1] === '\\') first--
  return (position - first) % 2 === 1
}

function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) < 0x20 || text[i] === '\\') return false
  return true
}
