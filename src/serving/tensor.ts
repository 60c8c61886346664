/** What the Open Inference Protocol calls a datatype → bytes of one element; BYTES elements carry their own length. */
const elementBytes = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  BF16: 2,
  FP32: 4,
  FP64: 8,
  BYTES: 0,
} as const

export type Datatype = keyof typeof elementBytes

/** NumPy and ONNX Runtime use the same words for numbers. */
export const datatypeOfNumber: Readonly<Record<string, Datatype>> = {
  bool: 'BOOL',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
}

export type Parameters = Record<string, unknown>

/**
 * One tensor, in the one form that all protocols and all models share here: little endian and row major, as it travels in binary
 * requests. BYTES: each element is its length (uint32) and its bytes.
 */
export type Tensor = {
  name: string
  datatype: Datatype
  shape: number[]
  bytes: Buffer
  parameters?: Parameters
}

export const isDatatype = (text: unknown): text is Datatype =>
  typeof text === 'string' && Object.hasOwn(elementBytes, text)

export const datatypeNames = Object.keys(elementBytes).join(', ')

export const sizeOf = (datatype: Datatype): number => elementBytes[datatype]

/** How many elements a shape has; NaN where it is not a list of whole numbers from 0 or has more than can be counted. */
export function elementCount(shape: readonly unknown[]): number {
  let count = 1
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || (dimension as number) < 0) return Number.NaN
    count *= dimension as number
  }
  return Number.isSafeInteger(count) ? count : Number.NaN
}

/** The elements of a BYTES tensor; undefined where the lengths do not add up to the bytes that are there. */
export function bytesElements(bytes: Buffer): Buffer[] | undefined {
  const elements: Buffer[] = []
  let at = 0
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return undefined
    const end = at + 4 + bytes.readUInt32LE(at)
    if (end > bytes.length) return undefined
    elements.push(bytes.subarray(at + 4, end))
    at = end
  }
  return elements
}

export function joinedElements(elements: readonly Uint8Array[]): Buffer {
  const parts: Uint8Array[] = []
  for (const element of elements) {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(element.length)
    parts.push(length, element)
  }
  return Buffer.concat(parts)
}

/** What is wrong with the size of a tensor's bytes, or undefined. */
export function sizeProblem({ datatype, shape, bytes }: Omit<Tensor, 'name'>): string | undefined {
  const count = elementCount(shape)
  if (Number.isNaN(count)) return `its shape ${shown(shape)} is not a list of whole numbers from 0`
  if (datatype === 'BYTES') {
    const elements = bytesElements(bytes)
    if (!elements) return `its ${bytes.length} bytes do not end where the length of an element says`
    return elements.length === count
      ? undefined
      : `it holds ${elements.length} elements, its shape ${shown(shape)} asks for ${count}`
  }
  const needed = count * sizeOf(datatype)
  return bytes.length === needed
    ? undefined
    : `it holds ${bytes.length} bytes, its shape ${shown(shape)} of ${datatype} asks for ${needed}`
}

/** The bytes as an array of numbers that may be read in place; BF16 and BYTES have none. FP16 comes as its bits. */
export function numbersOf({ datatype, bytes }: Tensor): NumberArray {
  const size = sizeOf(datatype) || 1
  // Typed arrays need an aligned start, which a piece of a request body seldom has.
  const aligned = bytes.byteOffset % size === 0 ? bytes : Buffer.from(new Uint8Array(bytes).buffer)
  return new arrayOf[datatype](aligned.buffer, aligned.byteOffset, aligned.length / size) as NumberArray
}

export type NumberArray =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array

type NumberArrayMaker = new (buffer: ArrayBufferLike, offset: number, length: number) => NumberArray

const arrayOf: Record<Datatype, NumberArrayMaker> = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  BF16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
  BYTES: Uint8Array,
}

const half = new DataView(new ArrayBuffer(4)) as DataView & HalfAccess

/** In Node 24, not yet in the types of ES2024. */
type HalfAccess = {
  getFloat16(at: number, littleEndian: boolean): number
  setFloat16(at: number, value: number, littleEndian: boolean): void
}

export function halfFromBits(bits: number): number {
  half.setUint16(0, bits, true)
  return half.getFloat16(0, true)
}

export function halfToBits(value: number): number {
  half.setFloat16(0, value, true)
  return half.getUint16(0, true)
}

/** bfloat16 is the upper half of a float32. */
export function bfloatFromBits(bits: number): number {
  half.setUint32(0, bits << 16, true)
  return half.getFloat32(0, true)
}

/** To the nearest, ties to even; a NaN stays one. */
export function bfloatToBits(value: number): number {
  half.setFloat32(0, value, true)
  const bits = half.getUint32(0, true)
  if (Number.isNaN(value)) return 0x7fc0
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
}

export const shown = (shape: readonly unknown[]): string =>
  `[${shape.slice(0, 20).join(', ')}${shape.length > 20 ? ', …' : ''}]`
