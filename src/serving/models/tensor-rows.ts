import { elementCount, type Tensor } from '../tensor.ts'
import { elementTexts } from './tensor-json.ts'

/** Larger tensors (pictures, sound) are not written down row by row: the log is for tables. */
const mostElements = 50_000

/** The tensors as a table: a row per first index, a column per tensor. Empty where they have no common number of rows, or too much in them. */
export function rowsOfTensors(tensors: readonly Tensor[], most = mostElements): Record<string, unknown>[] {
  const [rows] = tensors[0]?.shape ?? []
  if (rows === undefined || tensors.some(({ shape }) => shape[0] !== rows)) return []
  if (tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0) > most) return []
  const columns = tensors.map((tensor) => ({ name: tensor.name, values: valuesOf(tensor, rows) }))
  return Array.from({ length: rows }, (_, row) =>
    Object.fromEntries(columns.map(({ name, values }) => [name, values[row]])),
  )
}

function valuesOf(tensor: Tensor, rows: number): unknown[] {
  const elements = JSON.parse(`[${elementTexts(tensor).join(',')}]`) as unknown[]
  const width = rows > 0 ? elements.length / rows : 0
  return Array.from({ length: rows }, (_, row) => {
    const own = elements.slice(row * width, (row + 1) * width)
    return own.length === 1 ? own[0] : own
  })
}
