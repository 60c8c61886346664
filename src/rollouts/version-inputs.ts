import type { ProjectFile } from '../projects/index.ts'
import type { ModelVersionManifest } from '../promotions/index.ts'
import { type InputContract, inputContract } from '../serving/index.ts'

/**
 * What a version takes: the columns of its signature, and the checks that the project declared, at the version's own commit, for the
 * data that it was trained on. A check of a column that the model does not take says nothing of a request.
 */
export function versionInputs(manifest: ModelVersionManifest, file: ProjectFile): InputContract {
  const sources = Object.keys(manifest.data).flatMap((name) => file.data[name] ?? [])
  const key = sources.find((source) => source.key !== undefined)?.key
  const taken = new Set([...manifest.columns.map(({ name }) => name), key])
  const checks = sources
    .flatMap((source) => source.checks)
    .filter((check) => check.kind !== 'column' || manifest.columns.length === 0 || taken.has(check.column))
  return inputContract(manifest.columns, checks, key)
}
