import { parse } from 'yaml'
import { z } from 'zod'

/** A column of a model's input as its MLflow signature names it; `type` is MLflow's (`double`, `long`, `string`, …). */
export type SignatureColumn = { name: string; type: string; required: boolean }

const inputs = z.array(
  z.looseObject({
    name: z.string(),
    type: z.unknown(),
    required: z.boolean().optional(),
    optional: z.boolean().optional(),
  }),
)

/** The named input columns of an MLmodel file, in order; none where it has no signature or takes tensors. Source: MLflow's model format. */
export function signatureColumns(mlmodelText: string): SignatureColumn[] {
  const { signature } = (parse(mlmodelText, { maxAliasCount: 20 }) ?? {}) as { signature?: { inputs?: unknown } | null }
  if (typeof signature?.inputs !== 'string') return []
  const read = inputs.safeParse(jsonOf(signature.inputs))
  if (!read.success) return []
  return read.data.map((column) => ({
    name: column.name,
    type: typeof column.type === 'string' ? column.type : 'any',
    required: column.required ?? !(column.optional ?? false),
  }))
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
