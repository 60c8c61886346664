import { pythonJsonFloat } from '../../kernel/python-text.ts'
import { dumps } from './python-json.ts'

export type UsageNode = {
  spanId: string
  parentId: string | undefined
  data: Record<string, number> | undefined
}

export const usageKeys = {
  required: ['input_tokens', 'output_tokens', 'total_tokens'],
  optional: ['cache_read_input_tokens', 'cache_creation_input_tokens', 'cache_creation_input_tokens_above_1hr'],
} as const

export const costKeys = { required: ['input_cost', 'output_cost', 'total_cost'], optional: [] } as const

type Keys = { readonly required: readonly string[]; readonly optional: readonly string[] }

/**
 * Sums tokens (counts) or costs (USD) over the tree of a trace's spans. A span below one that has figures is not counted:
 * some libraries write on a parent what its children used together. Undefined where no span has any.
 * Source: mlflow 3.17.2, tracing/utils/__init__.py (_aggregate_from_nodes).
 */
export function summed(nodes: readonly UsageNode[], keys: Keys): Record<string, number> | undefined {
  const covered = coverage(nodes)
  const counted = nodes.filter((node) => node.data && !(node.parentId !== undefined && covered.get(node.parentId)))
  if (counted.length === 0) return undefined
  const totals: Record<string, number> = Object.fromEntries(keys.required.map((key) => [key, 0]))
  for (const { data = {} } of counted) {
    for (const key of keys.required) totals[key]! += data[key] ?? 0
    for (const key of keys.optional) if (data[key] !== undefined) totals[key] = (totals[key] ?? 0) + data[key]
  }
  return totals
}

/** For each span whether it or one above it has figures. Each is visited once, however deep the tree. */
function coverage(nodes: readonly UsageNode[]): Map<string, boolean> {
  const byId = new Map(nodes.map((node) => [node.spanId, node]))
  const covered = new Map<string, boolean>()
  for (const start of nodes) {
    const path: UsageNode[] = []
    let node: UsageNode | undefined = start
    while (node && !covered.has(node.spanId)) {
      // Set before it is known, so that a circle of parents ends.
      covered.set(node.spanId, false)
      path.push(node)
      node = node.parentId === undefined ? undefined : byId.get(node.parentId)
    }
    let above = node ? covered.get(node.spanId)! : false
    for (const passed of path.reverse()) {
      above ||= passed.data !== undefined
      covered.set(passed.spanId, above)
    }
  }
  return covered
}

/** The finite numbers of an object, or undefined where it is none or has none. */
export function numbersOf(value: unknown): Record<string, number> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const numbers = Object.entries(value).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number' && Number.isFinite(entry[1]),
  )
  return numbers.length === 0 ? undefined : Object.fromEntries(numbers)
}

/** As MLflow writes them into a trace's metadata: counts as whole numbers, costs with a point. */
export const usageText = (usage: Record<string, number>): string => dumps(usage)
/** As `usageText`. */
export const costText = (cost: Record<string, number>): string =>
  `{${Object.entries(cost)
    .map(([key, value]) => `${JSON.stringify(key)}: ${pythonJsonFloat(value)}`)
    .join(', ')}}`
