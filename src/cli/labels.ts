import { readFile } from 'node:fs/promises'
import { AppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { receiveLabels } from '../labels/labels-contract.ts'
import type { CliContext } from './context.ts'
import { readScalar } from './read-settings.ts'
import { count } from './words.ts'

type Label = { predictionId: string; value: string | number | boolean; line?: number }
type Received = OutputOf<typeof receiveLabels>

const atOnce = 10_000
const shownRefusals = 10
const idColumns = ['prediction_id', 'predictionid', 'prediction', 'id']
const valueColumns = ['label', 'value', 'truth', 'target']

/** `modelwright labels FILE.csv`, or one with `--prediction` and `--value`. 1 where some were refused. */
export async function labels(
  context: CliContext,
  file: string | undefined,
  options: { prediction?: string; value?: string },
): Promise<number> {
  const { io } = context
  const given = file === undefined ? [oneLabel(options)] : await labelsIn(file, await readText(file))
  const project = await context.project()
  const client = await context.client()
  const total: Received = { recorded: 0, replaced: 0, unchanged: 0, refused: [] }
  for (let from = 0; from < given.length; from += atOnce) {
    const part = given.slice(from, from + atOnce)
    const body = { labels: part.map(({ predictionId, value }) => ({ predictionId, value })) }
    const received = await client(receiveLabels, { params: { project }, body })
    total.recorded += received.recorded
    total.replaced += received.replaced
    total.unchanged += received.unchanged
    total.refused.push(...received.refused.map((one) => ({ ...one, index: one.index + from })))
  }
  if (io.json) io.out(`${JSON.stringify(total)}\n`)
  else tell(context, total, given, file)
  return total.refused.length === 0 ? 0 : 1
}

function tell({ io }: CliContext, total: Received, given: readonly Label[], file: string | undefined): void {
  const { recorded, replaced, unchanged, refused } = total
  const parts = [
    `${count(recorded, 'label')} recorded`,
    ...(replaced > 0 ? [`${replaced} replaced`] : []),
    ...(unchanged > 0 ? [`${unchanged} known already`] : []),
    ...(refused.length > 0 ? [io.color.red(`${refused.length} refused`)] : []),
  ]
  io.out(`${parts.join(', ')}\n`)
  for (const { index, predictionId, reason } of refused.slice(0, shownRefusals)) {
    const place = given[index]?.line
    io.err(`  ${place ? `${file}:${place}: ` : ''}${predictionId}: ${reason}\n`)
  }
  if (refused.length > shownRefusals) io.err(`  … and ${refused.length - shownRefusals} more\n`)
}

function oneLabel({ prediction, value }: { prediction?: string; value?: string }): Label {
  if (prediction === undefined || value === undefined)
    throw new AppError(
      'BadRequest',
      'Neither a file nor a prediction with its value is named.',
      '`modelwright labels FILE.csv`, or `--prediction ID --value VALUE`.',
    )
  return { predictionId: prediction, value: readScalar(value) }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new AppError('NotFound', `${file} cannot be read: ${(cause as Error).message}`, 'Name a CSV file.', { cause })
  }
}

/** CSV with a head that names the id's and the label's column; further columns are left alone. */
export async function labelsIn(file: string, text: string): Promise<Label[]> {
  const { parse } = await import('csv-parse/sync')
  type Parsed = { record: Record<string, string>; info: { lines: number } }
  let rows: Parsed[]
  try {
    rows = parse(text, {
      bom: true,
      columns: (head: string[]) => head.map((name) => name.trim().toLowerCase()),
      info: true,
      skip_empty_lines: true,
      trim: true,
    }) as unknown as Parsed[]
  } catch (cause) {
    throw new AppError(
      'DataUnreadable',
      `${file} is not CSV: ${(cause as Error).message}`,
      'Write a head line and one row per label.',
      { cause },
    )
  }
  const names = Object.keys(rows[0]?.record ?? {})
  const id = idColumns.find((name) => names.includes(name))
  const value = valueColumns.find((name) => names.includes(name))
  if (!id || !value)
    throw new AppError(
      'DataUnreadable',
      rows.length === 0 ? `${file} has no row.` : `${file} has the columns ${names.join(', ')}.`,
      'Name the columns prediction_id and label in the first line.',
      { place: { file, line: 1 } },
    )
  return rows.map(({ record, info }) => ({
    predictionId: record[id]!,
    value: readScalar(record[value]!),
    line: info.lines,
  }))
}
