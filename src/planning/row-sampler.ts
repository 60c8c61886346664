import { extname } from 'node:path'
import { Readable } from 'node:stream'
import { parse } from 'csv-parse'
import { AppError, isAppError, messageOf } from '../kernel/errors.ts'
import type { Share } from '../kernel/units.ts'
import { hashShare } from '../math/hash-share.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { DataInput } from './plan.ts'
import type { PlanStore } from './plan-store.ts'

type Parts = { objects: ObjectStore; store: PlanStore }
type Asked = { input: DataInput; share: Share; key: string | undefined }
type Row = { record: string[]; raw: string }

const delimiters: Readonly<Record<string, string>> = { '.csv': ',', '.tsv': '\t' }
/** Of its own: the split into train and test has none, and a sample by the same hash would hold nothing but test rows. */
const salt = 'sample:'

/**
 * The rows of a dataset that a part of it is: those whose key has a share below it, so that a larger part holds a smaller one and the
 * same row is in it on every branch. Without a `key:` the whole row is its key. The lines stay as they are written.
 * @throws AppError NotYetSupported for what is no CSV or TSV, DataUnreadable where it has no such column or cannot be read.
 */
export async function sampleRows({ objects, store }: Parts, { input, share, key }: Asked): Promise<DataInput> {
  const delimiter = delimiters[extname(input.path).toLowerCase()]
  if (delimiter === undefined)
    throw new AppError(
      'NotYetSupported',
      `data.${input.dataset} (${input.path}) is no .csv or .tsv; of other files no part can be taken.`,
      'Run it on all of the data: without --sample, and without sample: in modelwright.yaml.',
    )
  const name = `sample:${share}:${input.digest}:${delimiter === ',' ? 'csv' : 'tsv'}:${key ?? ''}`
  const known = (await store.blobs([name])).get(name)
  const of = { digest: input.digest, share }
  if (known && (await objects.has(known.digest))) return { ...input, ...known, of }
  const whole = await objects.open(input.digest)
  try {
    const rows = whole.pipe(
      parse({ delimiter, raw: true, bom: true, relax_column_count: true, skip_empty_lines: true }),
    )
    whole.on('error', (error) => rows.destroy(error))
    const stored = await objects.put(Readable.from(chosen(rows, { input, share, key }), { objectMode: false }))
    await store.rememberBlob(name, stored)
    return { ...input, ...stored, of }
  } catch (error) {
    if (isAppError(error)) throw error
    throw unreadable(input, messageOf(error), error)
  } finally {
    whole.destroy()
  }
}

async function* chosen(rows: AsyncIterable<Row>, { input, share, key }: Asked) {
  let column = -1
  let isHeader = true
  for await (const { record, raw } of rows) {
    if (isHeader) {
      column = key === undefined ? -1 : record.indexOf(key)
      if (key !== undefined && column < 0) throw unreadable(input, `it has no column "${key}", its key`)
    }
    const own = column < 0 ? record.join('\0') : (record[column] ?? '')
    // A last line may end without a new one.
    if (isHeader || hashShare(own, salt) < share) yield Buffer.from(`${raw.replace(/\r?\n$/, '')}\n`)
    isHeader = false
  }
}

const unreadable = ({ dataset, path }: DataInput, why: string, cause?: unknown): AppError =>
  new AppError(
    'DataUnreadable',
    `No part of data.${dataset} (${path}) can be taken: ${why}.`,
    'Mend the file, or its key: in modelwright.yaml; or run it on all of the data.',
    { cause },
  )
