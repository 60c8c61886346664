import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError, messageOf } from '../../kernel/errors.ts'

export const conversionFile = 'modelwright-conversion.json'

/** What python/converter/ proved of a converted model, and what the graph alone does not say. */
const conversion = z.object({
  /** Rows of the input example or of a file, on which both answered alike. */
  rows: z.int(),
  rowsFrom: z.enum(['input example', 'file']),
  /** Further real rows: of what the version was made of. */
  dataRows: z.int().default(0),
  /** Rows made up on the thresholds of the model's trees. */
  thresholdRows: z.int(),
  /** Of values and probabilities: absolute below 1, relative above. */
  largestDifference: z.number(),
  tolerance: z.number(),
  /** Labels that differ because the original's own two best probabilities are equal but for the last digits. */
  ties: z.int(),
  /** Columns (by name, or by number where they have none) in which the original raises an error. */
  refuses: z.object({
    missing: z.array(z.union([z.string(), z.int()])),
    infinite: z.array(z.union([z.string(), z.int()])),
    /** Beyond what a float of single precision holds. */
    large: z.array(z.union([z.string(), z.int()])).default([]),
    /** No rows at all. */
    empty: z.boolean().default(false),
  }),
  /** The known values of columns of texts in which the original raises an error on others. */
  categories: z.record(z.string(), z.array(z.string())),
  computes: z.enum(['double', 'float']),
  /** The output that has the form of the original's answer. */
  answer: z.string(),
  versions: z.record(z.string(), z.string()),
})
export type Conversion = z.output<typeof conversion>

export const parseConversion = (written: unknown): Conversion => conversion.parse(written)

/** Undefined where the folder holds no converted model. @throws AppError ModelUnusable */
export function readConversion(folder: string): Conversion | undefined {
  const path = join(folder, conversionFile)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
  try {
    return conversion.parse(JSON.parse(text))
  } catch (cause) {
    throw new AppError(
      'ModelUnusable',
      `${path} is not what \`modelwright convert\` writes: ${messageOf(cause)}.`,
      'Convert the model again.',
      { cause },
    )
  }
}
