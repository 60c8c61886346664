import type { ModelFacts } from '../models/model-facts.ts'
import { invalidInput } from '../scoring-error.ts'
import { bytesElements, joinedElements, shown, sizeOf, type Tensor } from '../tensor.ts'

/** One feature: a column of a tensor. */
type Place = { tensor: number; column: number }

/** The rows of a request, feature by feature, so that rows can be mixed from several. */
export class FeatureTable {
  readonly names: readonly string[]
  readonly rows: number
  readonly #tensors: readonly Tensor[]
  readonly #widths: readonly number[]
  readonly #places: readonly Place[]
  /** Of texts, whose elements differ in length. */
  readonly #elements: readonly (Buffer[] | undefined)[]

  /**
   * @param tensors as the model takes them
   * @param columns the signature's, whose names one matrix of all of them has
   * @throws ScoringError 400 where they are not rows of features
   */
  constructor(tensors: readonly Tensor[], columns: ModelFacts['inputs']) {
    this.#tensors = tensors
    this.rows = tensors[0]?.shape[0] ?? 0
    this.#widths = tensors.map(({ name, shape }) => {
      if (shape.length === 0 || shape.length > 2 || shape[0] !== this.rows)
        throw invalidInput(
          `The input "${name}" has the shape ${shown(shape)}; rows of features, [n] or [n, features], can be explained.`,
        )
      return shape[1] ?? 1
    })
    this.#places = this.#widths.flatMap((width, tensor) =>
      Array.from({ length: width }, (_, column) => ({ tensor, column })),
    )
    this.names = this.#places.map((place) => this.#nameOf(place, columns))
    this.#elements = tensors.map(({ datatype, bytes }) =>
      datatype === 'BYTES' ? (bytesElements(bytes) ?? []) : undefined,
    )
  }

  #nameOf({ tensor, column }: Place, columns: ModelFacts['inputs']): string {
    const { name } = this.#tensors[tensor]!
    const width = this.#widths[tensor]!
    if (this.#tensors.length === 1 && columns.length === width && width > 1) return columns[column]!.name
    if (width === 1) return name
    return this.#tensors.length === 1 ? String(column) : `${name}[${column}]`
  }

  /** Whether another table holds the same tensors, but for the number of rows. */
  isLike(other: FeatureTable): boolean {
    return (
      this.#tensors.length === other.#tensors.length &&
      this.#tensors.every(({ name, datatype }, at) => {
        const twin = other.#tensors[at]!
        return twin.name === name && twin.datatype === datatype && other.#widths[at] === this.#widths[at]
      })
    )
  }

  /** Rows that have `members`' features from a row of this table and all others from a row of `background`. */
  mixed(
    wanted: readonly { row: number; members: Uint8Array; background: number }[],
    background: FeatureTable,
  ): Tensor[] {
    let player = 0
    return this.#tensors.map((tensor, at) => {
      const width = this.#widths[at]!
      const first = player
      player += width
      const from = (index: number, column: number): [FeatureTable, number] => {
        const { row, members, background: other } = wanted[index]!
        return members[first + column] === 1 ? [this, row] : [background, other]
      }
      const shape = [wanted.length, ...tensor.shape.slice(1)]
      if (tensor.datatype === 'BYTES') {
        const elements = wanted.flatMap((_, index) =>
          Array.from({ length: width }, (_, column) => {
            const [table, row] = from(index, column)
            return table.#elements[at]![row * width + column]!
          }),
        )
        return { ...tensor, shape, bytes: joinedElements(elements) }
      }
      const size = sizeOf(tensor.datatype)
      const bytes = Buffer.allocUnsafe(wanted.length * width * size)
      for (let index = 0; index < wanted.length; index++)
        for (let column = 0; column < width; column++) {
          const [table, row] = from(index, column)
          const start = (row * width + column) * size
          table.#tensors[at]!.bytes.copy(bytes, (index * width + column) * size, start, start + size)
        }
      return { ...tensor, shape, bytes }
    })
  }

  get tensors(): readonly Tensor[] {
    return this.#tensors
  }
}
