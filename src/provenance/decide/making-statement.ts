import { hexOf, type VersionRecord } from '../version-record.ts'
import { modelStatement, statementType } from './model-statement.ts'

export const buildType = 'https://modelwright.dev/pipeline/v1'

/**
 * How the version was made, as an in-toto statement with SLSA's provenance predicate (v1): its subject is that of the model's
 * signature, so that both name the same thing. Source: slsa.dev/spec/v1.0/provenance.
 */
export function makingStatement(record: VersionRecord) {
  const files = record.files.map(({ path, digest }) => ({ path, sha256: hexOf(digest) }))
  const { subject } = modelStatement(`${record.model}@${record.version}`, files)
  return {
    _type: statementType,
    subject,
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType,
        externalParameters: {
          project: record.project,
          commit: record.commit,
          params: record.params,
          seed: record.seed,
        },
        internalParameters: { manifest: record.digest, verdict: record.verdict },
        resolvedDependencies: [
          { name: 'source', digest: { gitCommit: record.commit } },
          ...record.data.map(({ name, digest, path }) => ({
            name: `data:${name}`,
            digest: { sha256: hexOf(digest) },
            ...(path ? { annotations: { path } } : {}),
          })),
          ...(record.environmentLock === 'none'
            ? []
            : [{ name: 'environment', digest: { sha256: hexOf(record.environmentLock) } }]),
        ],
      },
      runDetails: {
        builder: { id: 'https://modelwright.dev/server' },
        metadata: {
          invocationId: record.execution,
          startedOn: new Date(record.startedAt).toISOString(),
          finishedOn: new Date(record.createdAt).toISOString(),
        },
        byproducts: [{ name: 'run', annotations: { mlflowRun: record.run } }],
      },
    },
  }
}
