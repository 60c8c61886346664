import { createHash, generateKeyPairSync, sign, verify } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type Digest, digestOf } from '../../kernel/digest.ts'
import type { VersionRecord } from '../version-record.ts'
import { cyclonedxOf, uuidOf } from './cyclonedx.ts'
import { bundleOf, signedBytes } from './envelope.ts'
import { makingStatement } from './making-statement.ts'
import { modelStatement } from './model-statement.ts'
import { spdxOf } from './spdx.ts'

const hex = (text: string): string => createHash('sha256').update(text).digest('hex')

const record: VersionRecord = {
  ...{
    project: 'tumour',
    model: 'tumour-classifier',
    version: 3,
    digest: digestOf('manifest'),
    commit: 'c'.repeat(40),
  },
  ...{ execution: 'e1', run: 'a'.repeat(32), modelTree: digestOf('tree') },
  files: [
    { path: 'model.pkl', digest: digestOf('pickle'), size: 6 },
    { path: 'MLmodel', digest: digestOf('mlmodel'), size: 7 },
  ],
  data: [{ name: 'biopsies', digest: digestOf('rows'), path: 'data/b.csv' }],
  ...{ environmentLock: digestOf('lock'), python: '3.11.7', params: { train: { depth: 3 } }, seed: 7 },
  packages: [
    { name: 'numpy', version: '2.0.0', hashes: [`sha256:${'a'.repeat(64)}`, `sha256:${'b'.repeat(64)}`] },
    { name: 'own', version: 'https://example.org/own.whl', hashes: [] },
  ],
  ...{
    verdict: { outcome: 'pass', digest: digestOf('verdict') },
    startedAt: 1_700_000_000_000,
    createdAt: 1_700_000_060_000,
  },
}

describe("OpenSSF's statement on a model", () => {
  const files = [
    { path: 'b', sha256: hex('2') },
    { path: 'a/z', sha256: hex('1') },
    { path: 'B', sha256: hex('3') },
  ]

  it('lists the files in the order of their bytes, under one digest of their raw digests in that order', () => {
    const { subject, predicate } = modelStatement('m', files)
    expect(predicate.resources.map(({ name }) => name)).toEqual(['B', 'a/z', 'b'])
    const whole = createHash('sha256')
    for (const text of ['3', '1', '2']) whole.update(createHash('sha256').update(text).digest())
    expect(subject).toEqual([{ name: 'm', digest: { sha256: whole.digest('hex') } }])
  })

  it('has the types and the serialization that verifiers ask for', () => {
    expect(modelStatement('m', files)).toMatchObject({
      _type: 'https://in-toto.io/Statement/v1',
      predicateType: 'https://model_signing/signature/v1.0',
      predicate: { serialization: { method: 'files', hash_type: 'sha256', allow_symlinks: false } },
    })
  })

  it('does not depend on the order in which the files are given', () => {
    expect(modelStatement('m', [...files].reverse())).toEqual(modelStatement('m', files))
  })
})

describe('the envelope', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string
  const payload = Buffer.from('{"ä":1}')

  it('signs over the type and the payload with their lengths in bytes', () => {
    expect(Buffer.from(signedBytes(payload)).toString()).toBe('DSSEv1 28 application/vnd.in-toto+json 8 {"ä":1}')
  })

  it('is a bundle that the public key verifies, and that names the key', () => {
    const bundle = bundleOf(payload, sign('sha256', signedBytes(payload), privateKey), pem)
    const signature = Buffer.from(bundle.dsseEnvelope.signatures[0]!.sig, 'base64')
    expect(
      verify('sha256', signedBytes(Buffer.from(bundle.dsseEnvelope.payload, 'base64')), publicKey, signature),
    ).toBe(true)
    expect(bundle).toMatchObject({
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      verificationMaterial: { publicKey: { hint: hex(pem) } },
    })
  })
})

it('names in the statement on its making the same subject as in the one on its files, and all that went in', () => {
  const statement = makingStatement(record)
  const files = record.files.map(({ path, digest }) => ({ path, sha256: digest.slice(7) }))
  expect(statement.subject).toEqual(modelStatement('tumour-classifier@3', files).subject)
  expect(statement).toMatchObject({
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        externalParameters: { commit: record.commit, params: { train: { depth: 3 } }, seed: 7 },
        resolvedDependencies: [
          { name: 'source', digest: { gitCommit: record.commit } },
          { name: 'data:biopsies', digest: { sha256: hex('rows') } },
          { name: 'environment', digest: { sha256: hex('lock') } },
        ],
      },
      runDetails: { metadata: { invocationId: 'e1', startedOn: '2023-11-14T22:13:20.000Z' } },
    },
  })
})

describe('a bill of materials', () => {
  it('in CycloneDX names model, files, data, commit, interpreter and packages with purl and hashes', () => {
    const bill = cyclonedxOf(record)
    expect(bill.metadata.component).toMatchObject({
      type: 'machine-learning-model',
      name: 'tumour-classifier',
      version: '3',
    })
    expect(bill.metadata.component.components.map(({ name }) => name)).toEqual(['model.pkl', 'MLmodel'])
    expect(bill.components.map((one) => [one.type, one.name])).toEqual([
      ['data', 'biopsies'],
      ['application', 'tumour'],
      ['platform', 'python'],
      ['library', 'numpy'],
      ['library', 'own'],
    ])
    expect(bill.components[3]).toMatchObject({
      purl: 'pkg:pypi/numpy@2.0.0',
      externalReferences: [{ hashes: [{ alg: 'SHA-256', content: 'a'.repeat(64) }, { content: 'b'.repeat(64) }] }],
    })
    expect(bill.components[4]).toMatchObject({
      purl: 'pkg:generic/own?download_url=https%3A%2F%2Fexample.org%2Fown.whl',
    })
  })

  it('uses each reference of CycloneDX once, and depends on nothing that is not there', () => {
    const { metadata, components, dependencies } = cyclonedxOf(record)
    const refs = [metadata.component, ...metadata.component.components, ...components].map((one) => one['bom-ref'])
    expect(new Set(refs).size).toBe(refs.length)
    for (const dependency of dependencies) {
      expect(refs).toContain(dependency.ref)
      if ('dependsOn' in dependency) for (const ref of dependency.dependsOn) expect(refs).toContain(ref)
    }
  })

  it('is the same text each time for the same version', () => {
    expect(JSON.stringify(cyclonedxOf(record))).toBe(JSON.stringify(cyclonedxOf(structuredClone(record))))
    expect(uuidOf('0123456789abcdef'.repeat(4))).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/,
    )
  })

  it('in SPDX relates every element to the model and gives ids of allowed letters', () => {
    const bill = spdxOf({ ...record, files: [{ path: 'a b/ü.bin', digest: digestOf('x') as Digest, size: 1 }] })
    const ids = bill.packages.map(({ SPDXID }) => SPDXID)
    for (const id of ids) expect(id).toMatch(/^SPDXRef-[A-Za-z0-9.-]+$/)
    const related = bill.relationships.map(({ relatedSpdxElement }) => relatedSpdxElement)
    expect(related.sort()).toEqual(ids.sort())
  })
})
