import { AppError } from '../../kernel/errors.ts'
import type { Item, JsonScalar, Step } from '../project-file.ts'
import { filledPathProblem, filledValue, freeName, slug } from './expand-matrix.ts'
import { shellQuoteFilled } from './render-command.ts'
import { normalisePath } from './repository-path.ts'
import { fillIn } from './templates.ts'

/** The step of one item: no `foreach:` any more, everything filled in. */
export type ItemStep = { step: Step; item: Item }

/**
 * One step for each item of a `foreach:` list, in the list's order: `train@eu`, `train@us`, … Each holds its own item and nothing of
 * the list, so that one changed item runs one step again.
 * @throws AppError FanOutInvalid where an item has no value for a reference, or fills a path in that may not be written.
 */
export function expandItems(step: Step, items: readonly Item[]): ItemStep[] {
  const names = new Set<string>()
  const writers = new Map<string, string>()
  return items.map((item, index) => {
    const name = freeName(`${step.name}@${slug(typeof item === 'object' ? Object.values(item) : [item])}`, names)
    names.add(name)
    const made = stepOfItem(step, name, item, index)
    for (const out of made.outs) {
      const other = writers.get(out)
      if (other)
        throw wrong(
          step,
          `"${other}" and "${name}" would both write "${out}"`,
          'Put what tells the items apart into the path.',
        )
      writers.set(out, name)
    }
    return { step: made, item }
  })
}

/**
 * The step of a recorded item. `index` only names it in an error.
 * @throws AppError FanOutInvalid
 */
export function stepOfItem(step: Step, name: string, item: Item, index = 0): Step {
  const { foreach: _, ...rest } = step
  const valueFor = (reference: string): JsonScalar | undefined => itemValue(step, item, reference, index)
  const path = (text: string): string => {
    const filled = fillIn(text, valueFor, (value) => {
      // One folder more or less would be a place that nobody looked at when the file was checked.
      if (value.includes('/'))
        throw wrong(
          step,
          `item ${index} fills "${value}" into "${text}", and a value in a path holds no "/"`,
          'Write the list as maps with a short name for paths: { "name": …, "path": … }.',
        )
      return value
    })
    const problem = filled === text ? undefined : filledPathProblem(filled, false)
    if (problem)
      throw wrong(
        step,
        `item ${index} makes "${filled}" of "${text}", and ${problem}`,
        'Correct the item where the list is written.',
      )
    return normalisePath(filled)
  }
  return {
    ...rest,
    name,
    run: fillIn(step.run, valueFor, shellQuoteFilled),
    outs: step.outs.map(path),
    params: Object.fromEntries(Object.entries(step.params).map(([key, value]) => [key, filledValue(value, valueFor)])),
    metrics: typeof step.metrics === 'string' ? path(step.metrics) : step.metrics,
    ...(step.mutex ? { mutex: fillIn(step.mutex, valueFor) } : {}),
    ...(step.checkpoints ? { checkpoints: path(step.checkpoints) } : {}),
  }
}

/** `item` is the item itself, `item.key` a value of it; other references are none of a list's. */
function itemValue(step: Step, item: Item, reference: string, index: number): JsonScalar | undefined {
  if (reference === 'item') {
    if (typeof item !== 'object') return item
    throw wrong(
      step,
      `\${item} stands in the step, but item ${index} is a map of ${Object.keys(item).join(', ')}`,
      'Write ${item.key} with one of them.',
    )
  }
  if (!reference.startsWith('item.')) return undefined
  const key = reference.slice('item.'.length)
  if (typeof item === 'object' && Object.hasOwn(item, key)) return item[key]!
  const has =
    typeof item === 'object' ? `has ${Object.keys(item).join(', ') || 'nothing'}` : `is ${JSON.stringify(item)}`
  throw wrong(
    step,
    `the step names \${item.${key}}, but item ${index} ${has}`,
    `Write ${key} into each item, or name what is there.`,
  )
}

const wrong = (step: Step, what: string, next: string): AppError =>
  new AppError(
    'FanOutInvalid',
    `The list "${step.foreach?.list}" of "${step.name}" cannot be carried out: ${what}.`,
    next,
  )

const longestList = 10_000

/**
 * The text of a `foreach:` list → its items. An empty list is right: nothing is to be done.
 * @throws AppError FanOutInvalid where the text is no JSON list, has more items than `at_most:`, an item is neither a value nor a
 *   flat map of values, or one stands there twice.
 */
export function readItems(step: Step, text: string): Item[] {
  const { atMost } = step.foreach!
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch (cause) {
    throw wrong(
      step,
      `it is not JSON (${cause instanceof Error ? cause.message : String(cause)})`,
      'Write a JSON list, such as ["eu", "us"].',
    )
  }
  if (!Array.isArray(list))
    throw wrong(step, `it is ${kindOf(list)}, not a list`, 'Write a JSON list, such as ["eu", "us"].')
  if (list.length > atMost)
    throw wrong(
      step,
      `it has ${list.length} items, and at most ${atMost} are carried out`,
      atMost >= longestList
        ? 'Let one step work on many of them.'
        : `Write fewer, or allow more: foreach: { list: ${step.foreach!.list}, at_most: ${Math.min(list.length, longestList)} }.`,
    )
  const known = new Map<string, number>()
  return list.map((item: unknown, index) => {
    if (!isItem(item))
      throw wrong(
        step,
        `item ${index} is ${kindOf(item)}`,
        'Write each item as a text, a number, true or false, or as a flat map of those.',
      )
    const text = JSON.stringify(typeof item === 'object' ? Object.entries(item).sort() : item)
    const twin = known.get(text)
    if (twin !== undefined)
      throw wrong(
        step,
        `item ${index} is the same as item ${twin}: ${JSON.stringify(item).slice(0, 80)}`,
        'Write each item once.',
      )
    known.set(text, index)
    return item
  })
}

const isScalar = (value: unknown): value is JsonScalar =>
  (typeof value === 'string' && !value.includes('\0')) ||
  typeof value === 'boolean' ||
  (typeof value === 'number' && Number.isFinite(value))

const isItem = (value: unknown): value is Item =>
  isScalar(value) ||
  (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every(isScalar))

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return isItem(value) ? 'a map' : 'a map with more than plain values in it'
  return typeof value === 'string' && value.includes('\0')
    ? 'a text with a NUL character'
    : JSON.stringify(value).slice(0, 80)
}
