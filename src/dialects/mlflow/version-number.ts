import { MlflowError } from './mlflow-error.ts'

/** What Python's `int(text)` takes; a number beyond all versions is one that is not found. */
export function versionNumber(version: string): number {
  if (/^\s*[+-]?\d+(_\d+)*\s*$/.test(version))
    return Math.min(Number(version.replaceAll('_', '')), Number.MAX_SAFE_INTEGER)
  throw new MlflowError('INVALID_PARAMETER_VALUE', `Parameter 'version' must be an integer, got '${version}'.`)
}
