import { createHash } from 'node:crypto'

export const statementType = 'https://in-toto.io/Statement/v1'
export const modelSigningPredicate = 'https://model_signing/signature/v1.0'

/** Files that clients put into a downloaded model folder, which are no part of the model. */
const ignoredPaths = ['model.sig', 'registered_model_meta', '.git', '.gitattributes', '.github', '.gitignore']

/** path relative to the model's folder; 64 hex digits of its SHA-256. */
export type SignedFile = { path: string; sha256: string }

/**
 * The in-toto statement on a model's files: the subject's digest is the SHA-256 of the files' raw digests one after the other, in the
 * order of their paths. Source: OpenSSF model signing, predicate v1.0.
 */
export function modelStatement(name: string, files: readonly SignedFile[]) {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
  const whole = createHash('sha256')
  for (const { sha256 } of sorted) whole.update(Buffer.from(sha256, 'hex'))
  return {
    _type: statementType,
    subject: [{ name, digest: { sha256: whole.digest('hex') } }],
    predicateType: modelSigningPredicate,
    predicate: {
      serialization: { method: 'files', hash_type: 'sha256', allow_symlinks: false, ignore_paths: ignoredPaths },
      resources: sorted.map(({ path, sha256 }) => ({ name: path, algorithm: 'sha256', digest: sha256 })),
    },
  }
}
