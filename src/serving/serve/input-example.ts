import { readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import type { MlmodelFile } from '../models/mlmodel-file.ts'

const pageBytes = 50_000

/** The example that the model was saved with, as a body of `/invocations`; undefined where there is none, or none as small as `largestBytes`. */
export function readInputExample(folder: string, { inputExample }: MlmodelFile, largestBytes = pageBytes): unknown {
  if (!inputExample) return undefined
  const path = resolve(folder, inputExample.file)
  // The name comes from a file that anybody may have written.
  if (relative(folder, path).startsWith('..')) return undefined
  try {
    const text = readFileSync(join(path), 'utf8')
    if (text.length > largestBytes) return undefined
    const written: unknown = JSON.parse(text)
    if (inputExample.type === 'dataframe') return { [`dataframe_${inputExample.orient ?? 'split'}`]: written }
    return typeof written === 'object' && written !== null && 'inputs' in written ? written : { inputs: written }
  } catch {
    // An example that cannot be read is no reason not to serve.
    return undefined
  }
}
