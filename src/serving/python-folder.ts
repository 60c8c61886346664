import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The folder `python/` of this package, beside `src/` or, bundled, beside `dist/`. Looks at nothing on the disk.
 * @param from the address of a module of this package
 */
export function pythonFolder(from: string = import.meta.url): string {
  const place = from.lastIndexOf('/src/serving/') >= 0 ? from.lastIndexOf('/src/serving/') : from.lastIndexOf('/dist/')
  return fileURLToPath(place >= 0 ? `${from.slice(0, place)}/python/` : new URL('../python/', from))
}

export const workerScript = (folder: string = pythonFolder()): string => `${folder}worker/modelwright_worker.py`

export const converterScript = (folder: string = pythonFolder()): string => `${folder}converter/modelwright_convert.py`

/** What converts a model, beside the packages that it was saved with. */
export const converterRequirements = (): string =>
  readFileSync(join(pythonFolder(), 'converter', 'requirements.in'), 'utf8')
