import { z } from 'zod'
import { canonicalJson, type Digest, digestOf, isDigest } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import type { CommitId, ExecutionId, LoggedModelId, RunId } from '../kernel/ids.ts'
import { gateOutcomes } from './gate-outcomes.ts'

export const manifestSchemaName = 'modelwright/model-version/1'

const digest = z.custom<Digest>(
  (value) => typeof value === 'string' && isDigest(value),
  'expected sha256: and 64 hex digits',
)
const id = <T extends string>() => z.custom<T>((value) => typeof value === 'string' && value !== '', 'expected an id')
const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()])

/** Where a model version comes from, whole: its digest is the version's name in Git. */
export const manifestSchema = z.strictObject({
  schema: z.literal(manifestSchemaName),
  project: z.string(),
  model: z.string(),
  commit: id<CommitId>(),
  execution: id<ExecutionId>(),
  run: id<RunId>(),
  loggedModelId: id<LoggedModelId>(),
  /** The model's files, as a tree in the object store. */
  modelTree: digest,
  /** What the model is, without what differs between two savings of it: equal content never becomes a second version. */
  contentDigest: digest,
  data: z.record(z.string(), digest),
  environmentLock: z.union([digest, z.literal('none')]),
  /** By step. */
  params: z.record(z.string(), z.record(z.string(), scalar)),
  seed: z.int(),
  verdict: z.strictObject({ id: z.string(), outcome: z.enum(gateOutcomes), digest }),
  /** The profile of the training data: the reference that drift is measured from. */
  profile: digest.optional(),
  /** The columns that the model takes, in order; none where it has no signature. */
  columns: z.array(z.strictObject({ name: z.string(), type: z.string(), required: z.boolean() })),
  createdAt: z.int(),
})

export type ModelVersionManifest = z.output<typeof manifestSchema>

/** The manifest's one text, and the digest that names the version. The same facts give the same bytes. */
export function buildManifest(facts: Omit<ModelVersionManifest, 'schema'>): { text: string; digest: Digest } {
  const text = canonicalJson(manifestSchema.parse({ schema: manifestSchemaName, ...facts }))
  return { text, digest: digestOf(text) }
}

export function parseManifest(text: string, named: Digest): ModelVersionManifest {
  try {
    return manifestSchema.parse(JSON.parse(text))
  } catch (cause) {
    throw new AppError(
      'Conflict',
      `${named} is not the manifest of a model version.`,
      'Name the digest that `modelwright versions` shows.',
      { cause },
    )
  }
}
