import { AppError } from '../kernel/errors.ts'
import { getPublicKey, getSignature } from '../provenance/provenance-contract.ts'
import type { CliContext } from './context.ts'
import { findVersion } from './find-version.ts'
import { give } from './sbom.ts'

export type ProvenanceOptions = { kind: string; output?: string; publicKey?: boolean }

/** `modelwright provenance MODEL`: the server's signature; `--public-key`: what it is verified with. */
export async function provenance(
  context: CliContext,
  what: string | undefined,
  { kind, output, publicKey }: ProvenanceOptions,
): Promise<number> {
  const client = await context.client()
  if (publicKey) {
    const key = await client(getPublicKey, {})
    await give(context, context.io.json && !output ? `${JSON.stringify(key)}\n` : key.publicKey, output)
    return 0
  }
  if (what === undefined)
    throw new AppError('BadRequest', 'No model is named.', 'Write modelwright provenance MODEL, or --public-key.')
  if (kind !== 'model' && kind !== 'making')
    throw new AppError('BadRequest', `"${kind}" is no kind of statement.`, 'Write model or making.')
  const { digest } = await findVersion(context, what)
  const { bundle } = await client(getSignature, { params: { digest }, query: { kind } })
  await give(context, `${JSON.stringify(bundle)}\n`, output)
  return 0
}
