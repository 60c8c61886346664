import { hexOf, packageUrl, type VersionRecord } from '../version-record.ts'

const algorithms: Record<string, string> = { sha256: 'SHA-256', sha384: 'SHA-384', sha512: 'SHA-512' }

/**
 * A bill of materials in CycloneDX 1.6 (JSON): the model as a machine-learning model with its files, and what it was made from: data,
 * commit, interpreter, every package of the lock. The same version gives the same text, so `serialNumber` is made of its digest.
 */
export function cyclonedxOf(record: VersionRecord) {
  const model = `model:${record.model}@${record.version}`
  const components = [
    ...record.data.map((data) => ({
      type: 'data',
      'bom-ref': `data:${data.name}`,
      name: data.name,
      version: data.digest,
      hashes: [{ alg: 'SHA-256', content: hexOf(data.digest) }],
      data: [
        {
          type: 'dataset',
          name: data.name,
          ...(data.path ? { contents: { properties: [{ name: 'path', value: data.path }] } } : {}),
        },
      ],
    })),
    {
      type: 'application',
      'bom-ref': 'source',
      name: record.project,
      version: record.commit,
      description: 'The Git repository that holds the code of the pipeline',
      pedigree: { commits: [{ uid: record.commit }] },
    },
    ...(record.python
      ? [
          {
            type: 'platform',
            'bom-ref': 'python',
            name: 'python',
            version: record.python,
            purl: `pkg:generic/python@${record.python}`,
          },
        ]
      : []),
    ...record.packages.map((one) => ({
      type: 'library',
      'bom-ref': packageUrl(one),
      name: one.name,
      version: one.version,
      purl: packageUrl(one),
      ...(one.hashes.length > 0 ? { externalReferences: [distribution(one)] } : {}),
    })),
  ]
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(hexOf(record.digest))}`,
    version: 1,
    metadata: {
      timestamp: new Date(record.createdAt).toISOString(),
      tools: { components: [{ type: 'application', name: 'modelwright' }] },
      component: {
        type: 'machine-learning-model',
        'bom-ref': model,
        name: record.model,
        version: String(record.version),
        hashes: [{ alg: 'SHA-256', content: hexOf(record.modelTree) }],
        components: record.files.map(({ path, digest }) => ({
          type: 'file',
          'bom-ref': `${model}/${path}`,
          name: path,
          hashes: [{ alg: 'SHA-256', content: hexOf(digest) }],
        })),
        modelCard: { modelParameters: { datasets: record.data.map(({ name }) => ({ ref: `data:${name}` })) } },
        properties: propertiesOf(record),
      },
    },
    components,
    dependencies: [
      { ref: model, dependsOn: components.map((one) => one['bom-ref']) },
      ...components.map((one) => ({ ref: one['bom-ref'] })),
    ],
  }
}

/** A lock allows several files of one version (a wheel per platform): their hashes are those of its distributions. */
const distribution = ({ name, version, hashes, conda }: VersionRecord['packages'][number]) => ({
  type: 'distribution',
  url: conda ?? `https://pypi.org/project/${name}/${encodeURIComponent(version)}/`,
  hashes: hashes.map((hash) => {
    const [algorithm = '', content = ''] = hash.split(':')
    return { alg: algorithms[algorithm] ?? 'SHA-256', content }
  }),
})

function propertiesOf(record: VersionRecord): { name: string; value: string }[] {
  const params = Object.entries(record.params).flatMap(([step, values]) =>
    Object.entries(values).map(([name, value]) => ({
      name: `modelwright:param:${step}.${name}`,
      value: String(value),
    })),
  )
  return [
    { name: 'modelwright:manifest', value: record.digest },
    { name: 'modelwright:execution', value: record.execution },
    { name: 'modelwright:mlflow-run', value: record.run },
    { name: 'modelwright:environment-lock', value: record.environmentLock },
    { name: 'modelwright:seed', value: String(record.seed) },
    { name: 'modelwright:gate-verdict', value: record.verdict.outcome },
    ...params,
  ]
}

/** A UUID in form (version 8: made by its maker's own rule) of a digest's hex digits. */
export const uuidOf = (hex: string): string =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
