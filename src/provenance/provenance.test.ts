import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { SecretBox } from '../access/index.ts'
import { MemoryObjectStore } from '../adapters/objects/memory/memory-object-store.ts'
import { ArtifactService } from '../artifacts/index.ts'
import { type Db, transact } from '../db/index.ts'
import { type Digest, digestOf } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import { anonymous } from '../kernel/route.ts'
import { buildManifest, parseManifest } from '../promotions/manifest.ts'
import { RegistryService } from '../registry/index.ts'
import { signedBytes } from './decide/envelope.ts'
import { ProvenanceService, ProvenanceStore, provenanceEndpoints } from './index.ts'

type Signed = {
  keyId: string
  bundle: { dsseEnvelope: { payload: string; signatures: { sig: string }[] } }
}

eachDatabase('provenance', (database) => {
  let db: Db
  let objects: MemoryObjectStore
  let artifacts: ArtifactService
  let registry: RegistryService
  const clock = { now: () => 1_772_400_000_000, sleep: async () => {} }
  const box = new SecretBox(randomBytes(32))

  beforeEach(async () => {
    db = await database.open()
    objects = new MemoryObjectStore()
    artifacts = new ArtifactService({ db, clock, objects })
    registry = new RegistryService({ db, clock })
  })
  afterEach(async () => {
    await artifacts.settler.stop()
    await db.destroy()
  })

  const serviceWith = (secrets = box) =>
    new ProvenanceService({
      store: new ProvenanceStore(db, secrets),
      ...{ clock, registry, artifacts },
      promotions: {
        manifestOf: async (digest) => parseManifest(new TextDecoder().decode(await objects.read(digest)), digest),
      },
      executions: {
        get: async () => {
          throw new AppError('NotFound', 'It was deleted.', 'Look elsewhere.')
        },
      },
      locks: {
        byDigest: async (digest) =>
          digest === digestOf('lock') ? { digest, pythonVersion: '3.11.7', requirements: 'numpy==2.0.0\n' } : undefined,
      },
    })

  async function version(lock: Digest | 'none' = digestOf('lock')): Promise<Digest> {
    const { digest: file, size } = await objects.put('weights')
    const modelTree = await artifacts.storeTree({ files: [{ path: 'model.pkl', digest: file, size }] })
    const { text, digest } = buildManifest({
      ...{
        project: 'tumour',
        model: 'm',
        commit: 'c'.repeat(40) as never,
        execution: 'e1' as never,
        run: 'r1' as never,
      },
      ...{
        loggedModelId: 'm-1' as never,
        modelTree,
        contentDigest: digestOf('content'),
        data: { rows: digestOf('rows') },
      },
      ...{ environmentLock: lock, params: {}, seed: 7, columns: [], createdAt: clock.now() },
      verdict: { id: 'v', outcome: 'pass', digest: digestOf('verdict') },
    })
    await objects.put(text, digest)
    await transact(db, (tx) =>
      registry.registerVersion(tx, {
        ...{ model: 'm', source: 'models:/m-1', origin: 'modelwright', project: 'tumour', manifestDigest: digest },
        ...{ contentDigest: digestOf(`content ${lock}`) },
      } as never),
    )
    return digest
  }

  async function ask<T>(id: string, input: { params?: object; query?: object } = {}, secrets = box): Promise<T> {
    const { route, handle } = provenanceEndpoints(serviceWith(secrets)).find((one) => one.route.id === id)!
    const [params, query] = [route.params?.parse(input.params), route.query?.parse(input.query ?? {})]
    return route.output.parse(await handle({ params, query, body: undefined, actor: anonymous } as never)) as T
  }

  const isSigned = async ({ bundle, keyId }: Signed): Promise<boolean> => {
    const { publicKey } = await ask<{ publicKey: string }>('provenance.publicKey')
    expect(keyId).toBe(createHash('sha256').update(publicKey).digest('hex'))
    const [payload, sig] = [bundle.dsseEnvelope.payload, bundle.dsseEnvelope.signatures[0]!.sig]
    return verify(
      'sha256',
      signedBytes(Buffer.from(payload, 'base64')),
      createPublicKey(publicKey),
      Buffer.from(sig, 'base64'),
    )
  }

  it('signs a version when it is registered, and gives the same bytes ever after', async () => {
    const digest = await version()
    await serviceWith().onRegistered({ model: 'm', prompt: false, version: 1, source: 's', tags: {}, digest })
    expect(await db.selectFrom('signatures').select('kind').orderBy('kind').execute()).toEqual([
      { kind: 'making' },
      { kind: 'model' },
    ])
    for (const kind of ['model', 'making']) {
      const signed = await ask<Signed>('provenance.signature', { params: { digest }, query: { kind } })
      expect(await isSigned(signed)).toBe(true)
      expect(await ask('provenance.signature', { params: { digest }, query: { kind } })).toEqual(signed)
    }
    const audit = await db.selectFrom('audit').select('action').orderBy('id').execute()
    expect(audit.map(({ action }) => action)).toEqual(['provenance.key', 'provenance.sign', 'provenance.sign'])
  })

  it('signs nothing that no verdict made a version', async () => {
    await serviceWith().onRegistered({ model: 'm', prompt: false, version: 1, source: 's', tags: {} })
    expect(await db.selectFrom('signatures').selectAll().execute()).toEqual([])
  })

  it('ends with one key where several are made at once', async () => {
    const keys = await Promise.all([1, 2, 3].map(() => ask('provenance.publicKey')))
    expect(keys[1]).toEqual(keys[0])
    expect(keys[2]).toEqual(keys[0])
    expect(await db.selectFrom('signing_keys').selectAll().execute()).toHaveLength(1)
  })

  it('keeps the private key sealed: with another key of the installation it signs nothing', async () => {
    const digest = await version()
    await ask('provenance.publicKey')
    const { private_key: sealed } = await db.selectFrom('signing_keys').select('private_key').executeTakeFirstOrThrow()
    expect(sealed).not.toContain('PRIVATE KEY')
    const stranger = new SecretBox(randomBytes(32))
    await expect(ask('provenance.signature', { params: { digest } }, stranger)).rejects.toMatchObject({
      code: 'SecretUnreadable',
    })
  })

  it('writes bills of materials, also where the execution was deleted since', async () => {
    const digest = await version()
    const bill = await ask<{ components: { name: string }[] }>('provenance.sbom', { params: { digest } })
    expect(bill.components.map(({ name }) => name)).toEqual(['rows', 'tumour', 'python', 'numpy'])
    expect(await ask('provenance.sbom', { params: { digest }, query: { format: 'spdx' } })).toMatchObject({
      spdxVersion: 'SPDX-2.3',
    })
  })

  it('refuses rather than leave packages out, and what is no version', async () => {
    const unknown = await version(digestOf('lost lock'))
    await expect(ask('provenance.sbom', { params: { digest: unknown } })).rejects.toMatchObject({ code: 'NotFound' })
    await expect(ask('provenance.sbom', { params: { digest: digestOf('x') } })).rejects.toMatchObject({
      code: 'NotFound',
    })
    expect(await ask('provenance.sbom', { params: { digest: await version('none') } })).toMatchObject({
      bomFormat: 'CycloneDX',
    })
  })
})
