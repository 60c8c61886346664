import { isMap, parseDocument } from 'yaml'
import type { TreeManifest } from '../../artifacts/index.ts'
import { type Digest, digestOfJson } from '../../kernel/digest.ts'

/** What MLflow writes anew each time a model is logged, though the model is the same. */
const volatileFields = ['run_id', 'model_uuid', 'model_id', 'utc_time_created', 'artifact_path', 'model_size_bytes']

/**
 * What makes two logged models the same model: every file of the folder, but of MLmodel only the fields that describe the
 * model (flavors, signature, versions). `mlmodelText` is MLmodel's YAML; undefined where the folder has none.
 * Text that is no YAML mapping counts by its bytes.
 */
export function contentDigest(tree: TreeManifest, mlmodelText: string | undefined): Digest {
  const fields = mlmodelText === undefined ? undefined : steadyFields(mlmodelText)
  return digestOfJson({
    files: tree.files
      .filter((file) => fields === undefined || file.path !== 'MLmodel')
      .map(({ path, digest, executable }) => ({ path, digest, executable: executable === true })),
    mlmodel: fields ?? null,
  })
}

function steadyFields(text: string): Record<string, unknown> | undefined {
  // Aliases are not expanded beyond a few: a model's metadata needs none, and a YAML bomb needs many.
  const document = parseDocument(text, { version: '1.1', merge: false })
  if (document.errors.length > 0 || !isMap(document.contents)) return undefined
  const fields = jsonOf(() => document.toJS({ maxAliasCount: 20 }) as Record<string, unknown>)
  if (!fields) return undefined
  const steady = Object.fromEntries(Object.entries(fields).filter(([name]) => !volatileFields.includes(name)))
  return isRecord(steady.flavors) ? { ...steady, flavors: withoutFolders(steady.flavors) } : steady
}

/** A model that was logged from code names the file where it lay then; what counts of it is in the model's folder. */
function withoutFolders(flavors: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(flavors).map(([name, flavor]) => {
      if (!isRecord(flavor) || typeof flavor.model_code_path !== 'string') return [name, flavor]
      return [name, { ...flavor, model_code_path: flavor.model_code_path.split('/').at(-1) }]
    }),
  )
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Through JSON, so that dates and other YAML values become texts; undefined where it has no JSON form. */
function jsonOf(read: () => Record<string, unknown>): Record<string, unknown> | undefined {
  try {
    return JSON.parse(JSON.stringify(read())) as Record<string, unknown>
  } catch {
    return undefined
  }
}
