import { invalidInput } from '../scoring-error.ts'
import {
  bfloatFromBits,
  bfloatToBits,
  bytesElements,
  type Datatype,
  elementCount,
  halfFromBits,
  halfToBits,
  joinedElements,
  numbersOf,
  shown,
  sizeOf,
  type Tensor,
} from '../tensor.ts'

/** Deeper than any tensor; nesting that is deeper is an attack on the stack. */
const deepest = 32

const integerRange: Partial<Record<Datatype, [bigint, bigint]>> = {
  UINT8: [0n, 255n],
  UINT16: [0n, 65_535n],
  UINT32: [0n, 4_294_967_295n],
  UINT64: [0n, 18_446_744_073_709_551_615n],
  INT8: [-128n, 127n],
  INT16: [-32_768n, 32_767n],
  INT32: [-2_147_483_648n, 2_147_483_647n],
  INT64: [-9_223_372_036_854_775_808n, 9_223_372_036_854_775_807n],
}

/** Whether a number of that datatype may need more digits than JSON.parse keeps. */
export const needsExactIntegers = (datatype: Datatype): boolean => datatype === 'INT64' || datatype === 'UINT64'

/**
 * A tensor's `data` as it stands in JSON, nested or flat, row major.
 * @throws ScoringError where its elements are not of the datatype, are not as many as the shape says, or nest unevenly
 */
export function bytesFromJson(what: Omit<Tensor, 'bytes'>, data: unknown): Buffer {
  const { name, datatype, shape } = what
  const count = elementCount(shape)
  if (Number.isNaN(count))
    throw invalidInput(`Input "${name}": its shape ${shown(shape)} is not a list of whole numbers from 0.`)
  const lists = innermost(name, data)
  const found = lists.length * lists[0]!.length
  if (found !== count)
    throw invalidInput(`Input "${name}" holds ${found} elements, its shape ${shown(shape)} asks for ${count}.`)
  return datatype === 'BYTES' ? textBytes(what, lists.flat(1)) : numberBytes(name, datatype, lists, count)
}

/** The lists of elements, all of one length; one at least. They are not made one list: that takes longer than reading them. */
function innermost(name: string, data: unknown): readonly (readonly unknown[])[] {
  if (!Array.isArray(data)) throw invalidInput(`Input "${name}" has no list "data".`)
  let lists: readonly (readonly unknown[])[] = [data]
  for (let depth = 0; Array.isArray(firstOf(lists[0]!)); depth++) {
    if (depth === deepest) throw invalidInput(`Input "${name}" nests more than ${deepest} lists.`)
    const inner = (depth === 0 ? data : lists.flat(1)) as unknown[][]
    const { length } = inner[0]!
    for (const one of inner)
      if (!Array.isArray(one) || one.length !== length)
        throw invalidInput(`Input "${name}" nests unevenly: its lists are not all of one length.`)
    lists = inner
  }
  return lists
}

/**
 * Never `list[0]` at a place that meets lists of lists and lists of numbers: the engine would make both alike, with each number of the
 * row an object of its own, and reading them takes five times as long.
 */
export const firstOf = ([first]: readonly unknown[]): unknown => first

function textBytes({ name, parameters }: Omit<Tensor, 'bytes'>, elements: readonly unknown[]): Buffer {
  const encoding = parameters?.content_type === 'base64' ? 'base64' : 'utf8'
  return joinedElements(
    elements.map((element) => {
      if (typeof element !== 'string') throw wrongElement(name, 'BYTES', element)
      return Buffer.from(element, encoding)
    }),
  )
}

function numberBytes(name: string, datatype: Datatype, lists: readonly (readonly unknown[])[], count: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(count * sizeOf(datatype))
  const target = numbersOf({ name, datatype, shape: [], bytes })
  const one = readElement[datatype]
  // As it stands goes what most requests hold: a call for each number would take longer than all the rest.
  const largest = largestFloat[datatype] ?? -1
  let at = 0
  for (const list of lists)
    for (let index = 0; index < list.length; index++) {
      const element = list[index]
      if (typeof element === 'number' && element <= largest && element >= -largest) {
        target[at++] = element as never
        continue
      }
      const value = one(element, datatype)
      if (value === undefined) throw wrongElement(name, datatype, element)
      target[at++] = value as never
    }
  return bytes
}

/** The greatest that is taken; of single precision the last that does not round to infinity. */
const largestFloat: Partial<Record<Datatype, number>> = { FP32: 3.4028235677973366e38, FP64: Number.MAX_VALUE }

/** Whether a number is one of single precision, rounded. */
export const isSingle = (value: number): boolean => Math.abs(value) <= largestFloat.FP32!

type ReadElement = (element: unknown, datatype: Datatype) => number | bigint | undefined

const readBoolean: ReadElement = (element) =>
  element === true || element === 1 ? 1 : element === false || element === 0 ? 0 : undefined

const readInteger: ReadElement = (element, datatype) => {
  if (typeof element !== 'number' || !Number.isInteger(element)) return undefined
  const [low, high] = integerRange[datatype]!
  return element >= low && element <= high ? element : undefined
}

const readLong: ReadElement = (element, datatype) => {
  if (typeof element !== 'bigint' && !(typeof element === 'number' && Number.isInteger(element))) return undefined
  const value = BigInt(element)
  const [low, high] = integerRange[datatype]!
  return value >= low && value <= high ? value : undefined
}

/** null is how an answer writes NaN, which JSON has no word for; so it is read as NaN. */
const readFloat = (convert: (value: number) => number, largest: number): ReadElement => {
  const nan = convert(Number.NaN)
  return (element) => {
    if (element === null) return nan
    if (typeof element === 'bigint') return convert(Number(element))
    return typeof element === 'number' && Math.abs(element) <= largest ? convert(element) : undefined
  }
}
const same = (value: number): number => value

const readElement: Record<Datatype, ReadElement> = {
  BOOL: readBoolean,
  UINT8: readInteger,
  UINT16: readInteger,
  UINT32: readInteger,
  UINT64: readLong,
  INT8: readInteger,
  INT16: readInteger,
  INT32: readInteger,
  INT64: readLong,
  FP16: readFloat(halfToBits, 65_519),
  BF16: readFloat(bfloatToBits, 3.389e38),
  FP32: readFloat(same, largestFloat.FP32!),
  FP64: readFloat(same, largestFloat.FP64!),
  BYTES: () => undefined,
}

const wrongElement = (name: string, datatype: Datatype, element: unknown) =>
  invalidInput(`Input "${name}" is of ${datatype}, which ${shortly(element)} is not.`)

function shortly(value: unknown): string {
  const text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value))
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

/** The elements as a JSON list, flat. NaN and infinity are null; bytes that are no UTF-8 are base64, which `parameters` then say. */
export function jsonOf(tensor: Tensor): { data: string; parameters?: { content_type: 'base64' } } {
  if (tensor.datatype === 'BYTES' && !isText(tensor.bytes))
    return {
      data: JSON.stringify(bytesElements(tensor.bytes)?.map((element) => element.toString('base64'))),
      parameters: { content_type: 'base64' },
    }
  return { data: `[${elementTexts(tensor).join(',')}]` }
}

/** Each element as JSON, row major. */
export function elementTexts(tensor: Tensor): string[] {
  const { datatype, bytes } = tensor
  if (datatype === 'BYTES')
    return (bytesElements(bytes) ?? []).map((element) => JSON.stringify(element.toString('utf8')))
  const text = (elementText[datatype] ?? finiteText) as (element: number | bigint) => string
  const texts: string[] = []
  for (const element of numbersOf(tensor)) texts.push(text(element))
  return texts
}

const finiteText = (value: number): string => (Number.isFinite(value) ? String(value) : 'null')

const elementText: Partial<Record<Datatype, (element: number) => string>> = {
  BOOL: (bit) => (bit === 0 ? 'false' : 'true'),
  FP16: (bits) => finiteText(halfFromBits(bits)),
  BF16: (bits) => finiteText(bfloatFromBits(bits)),
  INT64: String,
  UINT64: String,
}

function isText(bytes: Buffer): boolean {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  try {
    for (const element of bytesElements(bytes) ?? []) decoder.decode(element)
    return true
  } catch {
    return false
  }
}
