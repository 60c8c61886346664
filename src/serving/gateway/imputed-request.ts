import type { InputRows } from '../input-failure.ts'
import type { Imputed } from '../input-handling.ts'
import { withImputed } from '../input-handling.ts'
import type { ScoreQuestion } from '../models/model-backend.ts'
import type { ModelFacts } from '../models/model-facts.ts'
import { bytesFromJson } from '../models/tensor-json.ts'
import { bytesElements, joinedElements, sizeOf, type Tensor } from '../tensor.ts'
import type { ScoringRequest } from './scoring-request.ts'

/** The client's own bytes where nothing stands in for anything; else the rows as JSON. */
export function imputedQuestion(
  request: ScoringRequest,
  cells: readonly Imputed[],
): Pick<ScoreQuestion, 'form' | 'body' | 'json' | 'numbers'> {
  const { form, body, json, numbers } = request
  if (cells.length === 0) return { form, body, ...(json ? { json } : {}), ...(numbers ? { numbers } : {}) }
  const { rows, named } = withImputed(request, cells)
  const params = json?.params
  const data = named ? { dataframe_split: split(rows) } : { instances: rows.map((row) => row['0']) }
  return { form: 'json', body: Buffer.from(JSON.stringify({ ...data, ...(params ? { params } : {}) })) }
}

function split(rows: InputRows['rows']) {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  return { columns, data: rows.map((row) => columns.map((column) => row[column] ?? null)) }
}

/** The same of tensors: single elements are written over, and a column that did not come at all is added. @throws ScoringError */
export function imputedTensors(
  tensors: readonly Tensor[],
  facts: Pick<ModelFacts, 'inputs'>,
  cells: readonly Imputed[],
): Tensor[] {
  const changed = [...tensors]
  for (const [column, its] of Map.groupBy(cells, (cell) => cell.column)) {
    const own = changed.findIndex(({ name }) => name === column)
    const place = facts.inputs.findIndex(({ name }) => name === column)
    if (own >= 0) changed[own] = written(changed[own]!, its, 1, 0)
    else if (tensors.length === 1 && tensors[0]!.shape[1] === facts.inputs.length && place >= 0)
      changed[0] = written(changed[0]!, its, facts.inputs.length, place)
    else changed.push(added(column, its, facts.inputs[place]?.datatype ?? datatypeOf(its[0]!), tensors[0]!.shape))
  }
  return changed
}

function written(tensor: Tensor, cells: readonly Imputed[], width: number, offset: number): Tensor {
  const size = sizeOf(tensor.datatype)
  const one = ({ value }: Imputed) => bytesFromJson({ ...tensor, shape: [1] }, [value])
  if (size === 0) {
    const elements = bytesElements(tensor.bytes) ?? []
    // The element's own length stands before it.
    for (const cell of cells) elements[cell.row * width + offset] = one(cell).subarray(4)
    return { ...tensor, bytes: joinedElements(elements) }
  }
  const bytes = Buffer.from(tensor.bytes)
  for (const cell of cells) one(cell).copy(bytes, (cell.row * width + offset) * size)
  return { ...tensor, bytes }
}

function added(name: string, cells: readonly Imputed[], datatype: Tensor['datatype'], like: readonly number[]): Tensor {
  const shape = like.length === 2 ? [cells.length, 1] : [cells.length]
  const values = cells.toSorted((a, b) => a.row - b.row).map(({ value }) => value)
  return { name, datatype, shape, bytes: bytesFromJson({ name, datatype, shape }, values) }
}

const datatypeOf = ({ value }: Imputed): Tensor['datatype'] =>
  typeof value === 'string' ? 'BYTES' : typeof value === 'boolean' ? 'BOOL' : 'FP64'
