import type { GraphNode, OnnxGraph } from './onnx-file.ts'

/**
 * Which of a model's features each column of a tensor inside its graph depends on: a list of players, one per column; `all` of one
 * player, however many columns there are; `constant`; or `mixed`, where a column depends on several or it is not known.
 */
export type Columns = { players: readonly number[] } | { all: number } | 'constant' | 'mixed'

/** Value by value: a column of the result depends on the same columns as those it is made of. */
const elementwise = new Set([
  ...[
    'Identity',
    'Cast',
    'IsNaN',
    'IsInf',
    'Floor',
    'Ceil',
    'Round',
    'Abs',
    'Sign',
    'Neg',
    'Sqrt',
    'Exp',
    'Log',
    'Clip',
    'Not',
    'Reciprocal',
  ],
  ...[
    'Add',
    'Sub',
    'Mul',
    'Div',
    'Pow',
    'Where',
    'Equal',
    'Less',
    'LessOrEqual',
    'Greater',
    'GreaterOrEqual',
    'And',
    'Or',
    'Xor',
    'Mod',
  ],
  ...['Scaler', 'Imputer', 'Binarizer', 'Sigmoid', 'Tanh', 'Relu', 'LabelEncoder', 'StringNormalizer'],
])

/** Row by row, but with other columns: known only where all of them are of one player. */
const rowwise = new Set([
  'OneHotEncoder',
  'Reshape',
  'Unsqueeze',
  'Squeeze',
  'Flatten',
  'CategoryMapper',
  'Gather',
  'ArrayFeatureExtractor',
])

/** Inputs whose columns are put side by side; how many each has must be told to `columnPlayers`. */
export const joins: ReadonlySet<string> = new Set(['Concat', 'FeatureVectorizer'])

/**
 * Pure. The columns of one tensor of a graph.
 * @param inputs the columns of the graph's inputs
 * @param widths how many columns the inputs of each Concat have
 */
export function columnPlayers(
  graph: OnnxGraph,
  name: string,
  inputs: ReadonlyMap<string, Columns>,
  widths: ReadonlyMap<string, number>,
): Columns {
  const madeBy = new Map(
    graph.nodes.flatMap((node) => node.outputs.map((output): [string, GraphNode] => [output, node])),
  )
  const known = new Map<string, Columns>(inputs)
  const of = (tensor: string): Columns => {
    const found = known.get(tensor)
    if (found) return found
    const node = madeBy.get(tensor)
    // A name that nobody makes is an initializer, or an input that was left out.
    const columns = !node || node.kind === 'Constant' ? 'constant' : through(node, of, graph, widths)
    known.set(tensor, columns)
    return columns
  }
  return of(name)
}

function through(
  node: GraphNode,
  of: (tensor: string) => Columns,
  graph: OnnxGraph,
  widths: ReadonlyMap<string, number>,
): Columns {
  if (joins.has(node.kind)) return joined(node, of, widths)
  const parts = node.inputs.filter((name) => name !== '').map(of)
  if (parts.every((part) => part === 'constant')) return 'constant'
  if (parts.includes('mixed')) return 'mixed'
  if (elementwise.has(node.kind)) return parts.reduce(together)
  const only = onePlayer(parts)
  if (only !== undefined && (rowwise.has(node.kind) || node.kind === 'Slice')) return { all: only }
  const chosen = chosenColumns(node, graph)
  const [whole] = parts
  if (!chosen || typeof whole !== 'object' || !('players' in whole)) return 'mixed'
  const players = chosen(whole.players)
  return players.every((player) => player !== undefined) ? { players } : 'mixed'
}

/** Two tensors combined value by value; a single column goes with each of the other's. */
function together(a: Columns, b: Columns): Columns {
  if (a === 'constant') return b
  if (b === 'constant') return a
  if (a === 'mixed' || b === 'mixed') return 'mixed'
  if ('players' in a && 'players' in b)
    return a.players.length === b.players.length && a.players.every((player, at) => player === b.players[at])
      ? a
      : 'mixed'
  const only = onePlayer([a, b])
  return only === undefined ? 'mixed' : { all: only }
}

function onePlayer(parts: readonly Columns[]): number | undefined {
  const players = new Set(
    parts.flatMap((part) => (typeof part === 'string' ? [] : 'all' in part ? [part.all] : [...part.players])),
  )
  return players.size === 1 ? [...players][0] : undefined
}

function joined(node: GraphNode, of: (tensor: string) => Columns, widths: ReadonlyMap<string, number>): Columns {
  const axis = node.attributes.get('axis')?.number ?? 1
  if (node.kind === 'Concat' && axis !== 1 && axis !== -1) return 'mixed'
  const players: number[] = []
  for (const name of node.inputs) {
    const part = of(name)
    if (typeof part === 'string') return 'mixed'
    if ('players' in part) players.push(...part.players)
    else {
      const width = widths.get(name)
      if (width === undefined) return 'mixed'
      players.push(...Array.from({ length: width }, () => part.all))
    }
  }
  return { players }
}

type Choice = (players: readonly number[]) => (number | undefined)[]

/** Which columns a node picks, where constants say so. */
function chosenColumns({ kind, inputs, attributes }: GraphNode, { constants }: OnnxGraph): Choice | undefined {
  const numbers = (at: number) => constants.get(inputs[at] ?? '')?.numbers
  if (kind === 'ArrayFeatureExtractor' || (kind === 'Gather' && attributes.get('axis')?.number === 1)) {
    const indices = numbers(1)
    return indices && ((players) => indices.map((index) => players.at(index)))
  }
  if (kind !== 'Slice') return undefined
  const [starts, ends, axes, steps] = [numbers(1), numbers(2), numbers(3), numbers(4)]
  const isColumns = axes?.length === 1 && (axes[0] === 1 || axes[0] === -1) && (steps === undefined || steps[0] === 1)
  return isColumns && starts && ends ? (players) => players.slice(starts[0], ends[0]) : undefined
}
