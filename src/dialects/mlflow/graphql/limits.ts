import { type DocumentNode, type FieldNode, type FragmentDefinitionNode, Kind, type SelectionSetNode } from 'graphql'

const maxRootFields = 10
const maxAliases = 10
const maxDepth = 10
const maxSelections = 1000
/** Stock has no such bound: it keeps the counting itself short. */
const maxSteps = 20_000

type Fragments = ReadonlyMap<string, FragmentDefinitionNode>

/**
 * What makes a query more than one may ask at once, in MLflow's words; undefined where nothing does. Fragments count wherever they
 * are spread; aliases are counted per set of selections, with those of the fragments spread in it.
 * Source: mlflow 3.17.2, server/graphql/graphql_no_batching.py.
 */
export function excessOf({ definitions }: DocumentNode): string | undefined {
  const fragments: Fragments = new Map(
    definitions.flatMap((one) => (one.kind === Kind.FRAGMENT_DEFINITION ? [[one.name.value, one]] : [])),
  )
  const open = definitions.flatMap((one) =>
    one.kind === Kind.OPERATION_DEFINITION ? [{ set: one.selectionSet, depth: 1 }] : [],
  )
  const counted = { rootFields: 0, aliases: 0, selections: 0, steps: 0 }
  for (let next = open.pop(); next; next = open.pop()) {
    const { set, depth } = next
    if (depth > maxDepth) return `Query exceeds maximum depth of ${maxDepth}`
    const { fields, steps } = fieldsOf(set, fragments)
    counted.steps += steps
    counted.selections += fields.length
    if (counted.selections > maxSelections || counted.steps > maxSteps)
      return `Query exceeds maximum total selections of ${maxSelections}`
    if (depth === 1) counted.rootFields += fields.length
    counted.aliases = Math.max(counted.aliases, fields.filter((field) => field.alias).length)
    for (const { selectionSet } of fields) if (selectionSet) open.push({ set: selectionSet, depth: depth + 1 })
  }
  if (counted.rootFields > maxRootFields) return tooMany(counted.rootFields, maxRootFields, 'root fields')
  if (counted.aliases > maxAliases) return tooMany(counted.aliases, maxAliases, 'aliases')
  return undefined
}

/** The fields of one level, with those of fragments spread in it: each fragment once, so that a cycle ends. */
function fieldsOf(set: SelectionSetNode, fragments: Fragments): { fields: FieldNode[]; steps: number } {
  const fields: FieldNode[] = []
  const spread = new Set<string>()
  const open = [...set.selections]
  let steps = 0
  for (let selection = open.pop(); selection; selection = open.pop()) {
    steps++
    if (selection.kind === Kind.FIELD) fields.push(selection)
    else if (selection.kind === Kind.INLINE_FRAGMENT) open.push(...selection.selectionSet.selections)
    else if (!spread.has(selection.name.value)) {
      spread.add(selection.name.value)
      open.push(...(fragments.get(selection.name.value)?.selectionSet.selections ?? []))
    }
  }
  return { fields, steps }
}

const tooMany = (got: number, most: number, what: string): string =>
  `GraphQL queries should have at most ${most} ${what}, got ${got} ${what}.`
