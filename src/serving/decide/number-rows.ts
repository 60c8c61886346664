/** What `readNumberRows` found. */
export class NumberRows {
  /** Row major; each the very number that JSON.parse makes, and finite. */
  readonly values: Float64Array<ArrayBuffer>
  /** Of a row; one at least. */
  readonly width: number
  /** Where each row begins and ends among the bytes, in turn; no line breaks are between. */
  readonly spans: readonly number[]
  #lists: number[][] | undefined

  constructor(values: Float64Array<ArrayBuffer>, width: number, spans: readonly number[]) {
    this.values = values
    this.width = width
    this.spans = spans
  }

  get shape(): [number, number] {
    return [this.values.length / this.width, this.width]
  }

  /** As JSON.parse has them; few ask. */
  get lists(): number[][] {
    this.#lists ??= Array.from({ length: this.shape[0] }, (_, row) =>
      Array.from(this.values.subarray(row * this.width, (row + 1) * this.width)),
    )
    return this.#lists
  }
}

const space = 32
const comma = 44
const minus = 45
const dot = 46
const zero = 48
const nine = 57
const openList = 91
const closeList = 93
const closeMap = 125

const opening = /^ *\{ *"(?:inputs|instances)" *: *\[/

/**
 * Pure. The plainest request, a list of rows of numbers alone: `{"inputs": [[1, 2.5], [3, 4]]}`, or the same of `instances`. It is read
 * from its bytes in one pass; JSON.parse takes twice as long, and the text that it needs and the lists that it makes some time more.
 * @returns undefined for everything else, also where it is only uncommon: line breaks, `null`, rows of different lengths, other members.
 *   So whoever reads JSON whole has the last word on it.
 */
export function readNumberRows(body: Buffer): NumberRows | undefined {
  const opened = opening.exec(body.toString('latin1', 0, 60))
  if (!opened) return undefined
  return new RowReader(body, opened[0].length).rows()
}

/** Used again by each request: of fresh memory each page would have to be zeroed first. */
const scratch = new Float64Array(1 << 14)

class RowReader {
  readonly #bytes: Buffer
  readonly #view: DataView
  #at: number

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#at = at
  }

  rows(): NumberRows | undefined {
    let values = scratch
    let count = 0
    let width = 0
    const spans: number[] = []
    do {
      this.#skipSpaces()
      if (count + width > values.length) values = grown(values)
      const begin = this.#at
      const end = this.#row(values, count)
      if (end < 0 || (count > 0 && end - count !== width)) return undefined
      width = end - count
      if (width > scratch.length) return undefined
      count = end
      spans.push(begin, this.#at)
    } while (this.#takes(comma))
    if (!this.#takes(closeList) || !this.#takes(closeMap) || !this.#isAtEnd()) return undefined
    return new NumberRows(values.slice(0, count), width, spans)
  }

  /**
   * Reads a list into `values` from `index` on.
   * @returns the index behind the last number; -1 where there is no list, or anything but numbers in it
   */
  #row(values: Float64Array<ArrayBuffer>, index: number): number {
    // One function with a loop, and whole numbers of 32 bits as long as they last: a call for each number would cost a third of it all.
    const bytes = this.#bytes
    const view = this.#view
    const lastWide = bytes.length - 24
    let at = this.#at
    if (bytes[at] !== openList) return -1
    for (;;) {
      do at++
      while (bytes[at] === space)
      const from = at
      const isNegative = bytes[at] === minus
      if (isNegative) at++
      const first = at
      let high = 0
      let code = bytes[at]!
      for (; code >= zero && code <= nine; code = bytes[++at]!) high = (Math.imul(high, 10) + (code - zero)) | 0
      const whole = at - first
      let value = whole < 10 ? high : wholeNumber(bytes, first, at)
      if (code === dot && at < lastWide) {
        // Nine digits at most in `high`, the others in `low`: value = (high * scale + low) / 10 ** places.
        const point = ++at
        let low = 0
        let scale = 1
        let four = view.getInt32(at, true)
        if (whole < 6 && areDigits(four)) {
          high = (Math.imul(high, 10_000) + numberOf(four)) | 0
          at += 4
          four = view.getInt32(at, true)
          if (whole === 1 && areDigits(four)) {
            high = (Math.imul(high, 10_000) + numberOf(four)) | 0
            at += 4
            four = view.getInt32(at, true)
          }
        }
        if (areDigits(four)) {
          low = numberOf(four)
          scale = 1e4
          at += 4
          four = view.getInt32(at, true)
          if (areDigits(four)) {
            low = (Math.imul(low, 10_000) + numberOf(four)) | 0
            scale = 1e8
            at += 4
          }
        }
        for (code = bytes[at]!; code >= zero && code <= nine; code = bytes[++at]!) {
          low = low * 10 + (code - zero)
          scale *= 10
        }
        const places = at - point
        const isExact = whole < 10 && places > 0 && places < 23 && (scale <= 1e9 || (scale <= 1e11 && high < 1e8))
        const divisor = powersOfTen[isExact ? places : 0]!
        const big = high * scale
        const sum = big + low
        if (!isExact) value = Number.NaN
        else if (sum <= Number.MAX_SAFE_INTEGER) value = sum / divisor
        else {
          // Nor does the sum fit into a double: what is left of the division is computed exactly (Dekker's product), divided and added.
          // Between both bounds of that sum's error lies no other double, or nothing is said.
          const near = sum / divisor
          const product = near * divisor
          const wide = near * splitter
          const nearHigh = wide - (wide - near)
          const nearLow = near - nearHigh
          const divisorWide = divisor * splitter
          const divisorHigh = divisorWide - (divisorWide - divisor)
          const divisorLow = divisor - divisorHigh
          const error =
            nearHigh * divisorHigh - product + nearHigh * divisorLow + nearLow * divisorHigh + nearLow * divisorLow
          const rest = (big - product + low - error) / divisor
          const least = near + rest * (1 - 1e-15)
          value = least === near + rest * (1 + 1e-15) ? least : Number.NaN
        }
      }
      const isWritten = whole === 1 || (whole > 0 && bytes[first] !== zero)
      if (isWritten && !Number.isNaN(value) && (code === comma || code === closeList || code === space))
        values[index++] = isNegative ? -value : value
      else {
        at = endOfWord(bytes, from)
        const read = plainNumber(bytes.toString('latin1', from, at))
        if (read === undefined) return -1
        values[index++] = read
      }
      while (bytes[at] === space) at++
      if (bytes[at] === comma) continue
      if (bytes[at] !== closeList) return -1
      this.#at = at + 1
      return index
    }
  }

  #skipSpaces(): void {
    while (this.#bytes[this.#at] === space) this.#at++
  }

  #takes(code: number): boolean {
    this.#skipSpaces()
    if (this.#bytes[this.#at] !== code) return false
    this.#at++
    return true
  }

  #isAtEnd(): boolean {
    return /^[ \n\r\t]*$/.test(this.#bytes.toString('latin1', this.#at))
  }
}

function grown(values: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(2 * values.length)
  larger.set(values)
  return larger
}

/** Four letters at once, the first in the lowest byte. Source: Lemire, "Quickly parsing eight digits", in 32 bits. */
const areDigits = (four: number): boolean => (((four + 0x46464646) | (four - 0x30303030)) & 0x80808080) === 0

function numberOf(four: number): number {
  const ones = four - 0x30303030
  const twos = (Math.imul(ones, 10) + (ones >>> 8)) & 0x00ff00ff
  return (Math.imul(twos, 100) + (twos >>> 16)) & 0xffff
}

const powersOfTen = Float64Array.from({ length: 23 }, (_, power) => Number(`1e${power}`))
const splitter = 2 ** 27 + 1

/** Of more digits than 32 bits hold; NaN where doubles do not hold them either. */
function wholeNumber(bytes: Buffer, from: number, to: number): number {
  let value = to - from < 16 ? 0 : Number.NaN
  for (let at = from; at < to; at++) value = value * 10 + (bytes[at]! - zero)
  return value
}

function endOfWord(bytes: Buffer, from: number): number {
  let at = from
  while (bytes[at]! > space && bytes[at] !== comma && bytes[at] !== closeList) at++
  return at
}

function plainNumber(text: string): number | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined
  } catch {
    return undefined
  }
}
