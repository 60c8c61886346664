import { hexOf, packageUrl, type VersionRecord } from '../version-record.ts'

const none = 'NOASSERTION'

/** The same bill of materials in SPDX 2.3 (JSON). Its ids may hold letters, digits, `.` and `-` only. */
export function spdxOf(record: VersionRecord) {
  const model = { SPDXID: 'SPDXRef-Model', name: record.model, versionInfo: String(record.version) }
  const made = [
    ...record.data.map((data, index) => ({
      ...packageOf(`SPDXRef-Data-${index}`, data.name, data.digest),
      primaryPackagePurpose: 'SOURCE',
      checksums: [{ algorithm: 'SHA256', checksumValue: hexOf(data.digest) }],
      comment: `dataset${data.path ? ` at ${data.path}` : ''}`,
    })),
    { ...packageOf('SPDXRef-Source', record.project, record.commit), primaryPackagePurpose: 'SOURCE' },
    ...(record.python
      ? [{ ...packageOf('SPDXRef-Python', 'python', record.python), primaryPackagePurpose: 'APPLICATION' }]
      : []),
    ...record.packages.map((one, index) => ({
      ...packageOf(`SPDXRef-Package-${index}`, one.name, one.version),
      primaryPackagePurpose: 'LIBRARY',
      externalRefs: [
        { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: packageUrl(one) },
      ],
      // SPDX has one checksum of a kind per package; a lock has one per file that may be installed.
      ...(one.hashes.length > 0 ? { comment: `distributions: ${one.hashes.join(' ')}` } : {}),
    })),
  ]
  // As packages: of what SPDX calls a file it asks for a SHA-1, which nobody has any use for.
  const files = record.files.map(({ path, digest }, index) => ({
    ...packageOf(`SPDXRef-File-${index}`, path, digest),
    primaryPackagePurpose: 'FILE',
    packageFileName: `./${path}`,
    checksums: [{ algorithm: 'SHA256', checksumValue: hexOf(digest) }],
  }))
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `${record.model}-${record.version}`,
    documentNamespace: `https://modelwright.dev/sbom/${hexOf(record.digest)}`,
    creationInfo: {
      created: new Date(record.createdAt).toISOString().replace(/\.\d+Z$/, 'Z'),
      creators: ['Tool: modelwright'],
    },
    documentDescribes: [model.SPDXID],
    packages: [
      {
        ...packageOf(model.SPDXID, model.name, model.versionInfo),
        checksums: [{ algorithm: 'SHA256', checksumValue: hexOf(record.modelTree) }],
        comment: `manifest ${record.digest}, execution ${record.execution}, seed ${record.seed}, params ${JSON.stringify(record.params)}`,
      },
      ...files,
      ...made,
    ],
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: model.SPDXID },
      ...files.map(({ SPDXID }) => ({
        spdxElementId: model.SPDXID,
        relationshipType: 'CONTAINS',
        relatedSpdxElement: SPDXID,
      })),
      ...made.map(({ SPDXID }) => ({
        spdxElementId: model.SPDXID,
        relationshipType: SPDXID.startsWith('SPDXRef-Package') ? 'DEPENDS_ON' : 'GENERATED_FROM',
        relatedSpdxElement: SPDXID,
      })),
    ],
  }
}

const packageOf = (id: string, name: string, version: string) => ({
  SPDXID: id,
  name,
  versionInfo: version,
  downloadLocation: none,
  filesAnalyzed: false,
  licenseConcluded: none,
  licenseDeclared: none,
  copyrightText: none,
})
