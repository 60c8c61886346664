import type { DuckDBDataChunk } from '@duckdb/node-api'
import { bytesElements, joinedElements, type NumberArray, numbersOf, sizeOf, type Tensor } from '../tensor.ts'
import type { TakenColumn } from './table-plan.ts'

/** Rows of the columns that a model takes; numbers lie as the model's tensors want them. */
export class ColumnValues {
  readonly #columns: readonly TakenColumn[]
  readonly #tensors: Tensor[]
  readonly #texts: string[][]
  rows = 0

  constructor(columns: readonly TakenColumn[], mostRows: number) {
    this.#columns = columns
    this.#texts = columns.map(() => [])
    this.#tensors = columns.map(({ name, datatype }) => ({
      name,
      datatype,
      shape: [mostRows],
      bytes: Buffer.alloc(mostRows * sizeOf(datatype)),
    }))
  }

  /** @param from the first of the taken columns in the chunk @param isBad rows that are left out; undefined where none is */
  take(chunk: DuckDBDataChunk, from: number, isBad: ((row: number) => boolean) | undefined): void {
    const all = Array.from({ length: chunk.rowCount }, (_, row) => row)
    const good = isBad ? all.filter((row) => !isBad(row)) : all
    for (const [index, { datatype }] of this.#columns.entries()) {
      const vector = chunk.getColumnVector(from + index)
      if (datatype === 'BYTES') {
        for (const row of good) this.#texts[index]!.push(vector.getItem(row) as string)
        continue
      }
      const target = numbersOf(this.#tensors[index]!)
      const whole = isBad ? undefined : wholeColumn(vector, target)
      if (whole) {
        target.set(whole as never, this.rows)
        continue
      }
      let at = this.rows
      for (const row of good) target[at++] = vector.getItem(row) as never
    }
    this.rows += good.length
  }

  tensors(from = 0, to = this.rows): Tensor[] {
    return this.#tensors.map((tensor, index) => {
      const { datatype } = tensor
      const bytes =
        datatype === 'BYTES'
          ? joinedElements(this.#texts[index]!.slice(from, to).map((text) => Buffer.from(text)))
          : tensor.bytes.subarray(from * sizeOf(datatype), to * sizeOf(datatype))
      return { ...tensor, shape: [to - from], bytes }
    })
  }
}

/** The numbers of a column as they lie in memory, which DuckDB's library does not offer: where it does not have them so, one is asked by one. */
function wholeColumn(vector: object, target: NumberArray): NumberArray | undefined {
  const { items } = vector as { items?: unknown }
  return items instanceof target.constructor ? (items as NumberArray) : undefined
}

export type AnswerColumn = { name: string; sqlType: string; values: unknown[] }

const sqlTypes: Record<string, string> = {
  BOOL: 'BOOLEAN',
  UINT8: 'UTINYINT',
  UINT16: 'USMALLINT',
  UINT32: 'UINTEGER',
  UINT64: 'UBIGINT',
  INT8: 'TINYINT',
  INT16: 'SMALLINT',
  INT32: 'INTEGER',
  INT64: 'BIGINT',
  FP32: 'FLOAT',
  FP64: 'DOUBLE',
  BYTES: 'VARCHAR',
}

/**
 * A model's answer as columns of a table: the main one is `prediction` (`prediction_0`, … where it has several values per row), others
 * have their own names.
 */
export function answerColumns(tensors: readonly Tensor[], rows: number): AnswerColumn[] {
  return tensors.flatMap((tensor, index) => {
    const name = tensor.name === 'output-0' || (index === 0 && tensors.length === 1) ? 'prediction' : tensor.name
    const width = rows === 0 ? 1 : tensor.shape.slice(1).reduce((product, size) => product * size, 1)
    const sqlType = sqlTypes[tensor.datatype]
    if (!sqlType || tensor.shape[0] !== rows)
      throw new Error(
        `the model answers "${tensor.name}" of ${tensor.datatype} [${tensor.shape.join(', ')}] for ${rows} rows`,
      )
    const values = valuesOf(tensor)
    if (width === 1) return [{ name, sqlType, values }]
    return Array.from({ length: width }, (_, at) => ({
      name: `${name}_${at}`,
      sqlType,
      values: Array.from({ length: rows }, (_, row) => values[row * width + at]),
    }))
  })
}

function valuesOf(tensor: Tensor): unknown[] {
  if (tensor.datatype === 'BYTES') return (bytesElements(tensor.bytes) ?? []).map((element) => element.toString('utf8'))
  const numbers = Array.from(numbersOf(tensor) as Float64Array)
  return tensor.datatype === 'BOOL' ? numbers.map((one) => one !== 0) : numbers
}
