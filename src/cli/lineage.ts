import { AppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { findRow, getLineage, getOpenLineage } from '../lineage/lineage-contract.ts'
import type { CliContext } from './context.ts'
import type { CliIo } from './io.ts'
import { aligned } from './table.ts'
import { count, percent, timeText } from './words.ts'

type Lineage = OutputOf<typeof getLineage>
type Thing = Lineage['things'][number]
type Row = OutputOf<typeof findRow>

export type LineageOptions = {
  up?: boolean
  down?: boolean
  both?: boolean
  depth: string
  openlineage?: boolean
  data?: string
}

/** `modelwright lineage THING`; `lineage row KEY --data NAME`. */
export async function lineage(context: CliContext, words: readonly string[], options: LineageOptions): Promise<number> {
  const { io } = context
  const client = await context.client()
  const project = await context.project()
  const [of, key] = words
  if (of === 'row' && key !== undefined) return tellRow(context, project, key, options.data)
  if (of === undefined || key !== undefined)
    throw new AppError(
      'BadRequest',
      'Name one thing.',
      'Write modelwright lineage THING, or lineage row KEY --data NAME.',
    )
  const query = { project, of, direction: directionOf(options), depth: depthOf(options.depth) }
  if (options.openlineage) {
    const { events } = await client(getOpenLineage, { query })
    for (const event of events) io.out(`${JSON.stringify(event)}\n`)
    return 0
  }
  const found = await client(getLineage, { query })
  io.out(io.json ? `${JSON.stringify(found)}\n` : `${lineageLines(found, io.color).join('\n')}\n`)
  return 0
}

function directionOf({ up, down, both }: LineageOptions): Lineage['direction'] {
  if (both || (up && down)) return 'both'
  return up ? 'up' : down ? 'down' : 'both'
}

function depthOf(text: string): number {
  const depth = Number(text)
  if (Number.isInteger(depth) && depth >= 1 && depth <= 1000) return depth
  throw new AppError('BadRequest', `"${text}" is no depth.`, 'Write a whole number from 1 to 1000.')
}

/** Two trees from each thing that was asked for: what it came from, and what came of it. */
export function lineageLines(found: Lineage, color: CliIo['color']): string[] {
  const asked = found.things.filter(({ asked: it }) => it)
  const lines = asked.flatMap((thing) => [
    `${color.bold(thing.name)}  ${color.dim(markOf(thing))}`,
    ...(found.direction === 'down' ? [] : branch('came from', 'up', thing, found, color)),
    ...(found.direction === 'up' ? [] : branch('led to', 'down', thing, found, color)),
  ])
  if (found.more) lines.push(color.dim('There is more: ask with a larger --depth.'))
  if (found.cut) lines.push(color.dim('Only the newest 1,000 executions were looked at.'))
  return lines
}

function branch(title: string, way: 'up' | 'down', from: Thing, found: Lineage, color: CliIo['color']): string[] {
  const things = new Map(found.things.map((thing) => [thing.id, thing]))
  const next = new Map<string, string[]>()
  for (const { from: a, to: b } of found.lines) {
    const [at, other] = way === 'up' ? [b, a] : [a, b]
    next.set(at, [...(next.get(at) ?? []), other])
  }
  const told = new Set<string>([from.id])
  const lines: string[] = []
  const walk = (id: string, indent: string): void => {
    // Only onwards: a thing that lies the other way belongs to the other tree.
    const others = (next.get(id) ?? []).filter((other) => isOnward(things.get(other), way))
    for (const [index, other] of others.entries()) {
      const last = index === others.length - 1
      const thing = things.get(other)!
      const again = told.has(other)
      lines.push(`${indent}${last ? '└─' : '├─'} ${thing.name}  ${color.dim(again ? '(above)' : markOf(thing))}`)
      if (again) continue
      told.add(other)
      walk(other, `${indent}${last ? '   ' : '│  '}`)
    }
  }
  walk(from.id, '  ')
  return lines.length === 0 ? [color.dim(`  ${title} nothing that was recorded`)] : [color.dim(`  ${title}`), ...lines]
}

const isOnward = (thing: Thing | undefined, way: 'up' | 'down'): boolean =>
  thing !== undefined && (way === 'up' ? thing.distance < 0 : thing.distance > 0)

function markOf({ kind, ref, at }: Thing): string {
  const word = kind === 'run' ? 'run ' : ''
  const short = ref.startsWith('sha256:')
    ? ref.slice(7, 19)
    : kind === 'run' || kind === 'commit'
      ? ref.slice(0, 12)
      : ''
  return [`${word}${short}`.trim(), at === undefined ? '' : timeText(at)].filter(Boolean).join(', ')
}

async function tellRow(
  context: CliContext,
  project: string,
  key: string,
  dataset: string | undefined,
): Promise<number> {
  const { io } = context
  if (dataset === undefined)
    throw new AppError(
      'BadRequest',
      'A row is one of a dataset.',
      'Name the dataset: modelwright lineage row KEY --data NAME.',
    )
  const row = await (await context.client())(findRow, { query: { project, dataset, key } })
  io.out(io.json ? `${JSON.stringify(row)}\n` : `${rowLines(row, io.color).join('\n')}\n`)
  return 0
}

export function rowLines(row: Row, color: CliIo['color']): string[] {
  const { versions, models, unread, dataset, key, keyColumn } = row
  const what = `${keyColumn} ${key}`
  const served = (serves: readonly string[]) => (serves.length > 0 ? `served in ${serves.join(', ')}` : 'never served')
  const head =
    versions.length === 0
      ? `No version of ${dataset} that could be searched has a row with ${what} (${count(row.looked - unread.length, 'version')} searched).`
      : `${what} is in ${count(versions.length, 'version')} of ${dataset}; ${models.length === 0 ? 'no model came of them.' : `${count(models.length, 'model version')} came of them:`}`
  return [
    head,
    ...aligned(models.map(({ name, serves }) => [`  ${name}`, served(serves)])),
    ...(versions.length === 0 ? [] : ['']),
    ...aligned(versions.map(({ digest, row: at, text }) => [`  ${digest.slice(7, 19)}`, `row ${at}`, color.dim(text)])),
    ...unread.map(({ digest, reason }) => color.dim(`  ${digest.slice(7, 19)} could not be searched: ${reason}`)),
    ...(versions.length === 0
      ? []
      : [
          '',
          color.dim(
            `Which rows of a dataset a step takes is its own code's matter: this says “in the dataset of”. The row's share is ${row.share.toFixed(4)}, so a step that holds out the rows below ${percent(0.3)}, say, ${row.share < 0.3 ? 'did not train' : 'trained'} on it.`,
          ),
        ]),
  ]
}
