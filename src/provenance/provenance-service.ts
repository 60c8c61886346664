import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import type { ArtifactService } from '../artifacts/index.ts'
import type { ExecutionsService } from '../executions/index.ts'
import { canonicalJson, type Digest } from '../kernel/digest.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import type { EventPayloads } from '../kernel/events.ts'
import { type EnvironmentLocks, lockedPackages } from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { PromotionsService } from '../promotions/index.ts'
import type { RegistryService } from '../registry/index.ts'
import { cyclonedxOf } from './decide/cyclonedx.ts'
import { bundleOf, keyHint, signedBytes } from './decide/envelope.ts'
import { makingStatement } from './decide/making-statement.ts'
import { modelStatement } from './decide/model-statement.ts'
import { spdxOf } from './decide/spdx.ts'
import type { ProvenanceStore, Signature, SignatureKind, SigningKey } from './provenance-store.ts'
import { hexOf, type VersionRecord } from './version-record.ts'

type Parts = {
  store: ProvenanceStore
  clock: Clock
  promotions: Pick<PromotionsService, 'manifestOf'>
  registry: Pick<RegistryService, 'versionByDigest'>
  executions: Pick<ExecutionsService, 'get'>
  artifacts: Pick<ArtifactService, 'tree'>
  locks: Pick<EnvironmentLocks, 'byDigest'>
}

/** Writes down and signs what a version is and where it comes from. */
export class ProvenanceService {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async billOfMaterials(digest: Digest, format: 'cyclonedx' | 'spdx'): Promise<object> {
    const record = await this.#recordOf(digest)
    return format === 'spdx' ? spdxOf(record) : cyclonedxOf(record)
  }

  /** Signed once: at registration, or when somebody first asks. */
  async signature(digest: Digest, kind: SignatureKind): Promise<Signature> {
    const { store } = this.#parts
    const known = await store.signature(digest, kind)
    if (known) return known
    await store.addSignature(digest, await this.#sign(await this.#recordOf(digest), kind))
    return (await store.signature(digest, kind))!
  }

  async publicKey(): Promise<string> {
    return (await this.#key()).publicKey
  }

  /** On 'version.registered': a version that a verdict made is signed before anybody serves it. */
  async onRegistered({ digest }: EventPayloads['version.registered']): Promise<void> {
    if (!digest) return
    await this.signature(digest, 'model')
    await this.signature(digest, 'making')
  }

  async #sign(record: VersionRecord, kind: SignatureKind): Promise<Signature> {
    const files = record.files.map(({ path, digest }) => ({ path, sha256: hexOf(digest) }))
    const statement =
      kind === 'model' ? modelStatement(`${record.model}@${record.version}`, files) : makingStatement(record)
    const payload = Buffer.from(canonicalJson(statement))
    const key = await this.#key()
    // Node signs with DER, the form that sigstore's bundles carry.
    const signature = sign('sha256', signedBytes(payload), createPrivateKey(key.privateKey))
    const bundle = bundleOf(payload, signature, key.publicKey)
    return { kind, keyId: key.id, bundle, signedAt: this.#parts.clock.now() }
  }

  async #key(): Promise<SigningKey> {
    const { store, clock } = this.#parts
    const known = await store.key()
    if (known) return known
    const pair = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    })
    await store.addFirstKey({ id: keyHint(pair.publicKey), ...pair }, clock.now())
    return (await store.key())!
  }

  async #recordOf(digest: Digest): Promise<VersionRecord> {
    const { promotions, registry, executions, artifacts, locks } = this.#parts
    const manifest = await promotions.manifestOf(digest)
    const version = await registry.versionByDigest(digest)
    if (!version)
      throw new AppError('NotFound', `No version has the digest ${digest}.`, '`modelwright versions` lists them.')
    const { environmentLock } = manifest
    const lock = environmentLock === 'none' ? undefined : await locks.byDigest(environmentLock)
    if (environmentLock !== 'none' && !lock)
      throw new AppError(
        'NotFound',
        `The lock ${environmentLock} of ${manifest.model} version ${version.version} is not known here, so its packages are not.`,
        'Ask the server that made the version.',
      )
    // What a deleted execution knew beside the manifest is left out.
    const made = await executions.get(manifest.execution).catch((error: unknown) => {
      if (isAppError(error, 'NotFound')) return undefined
      throw error
    })
    const { project, model, commit, execution, run, modelTree, params, seed, verdict, createdAt } = manifest
    return {
      ...{
        project,
        model,
        version: version.version,
        digest,
        commit,
        execution,
        run,
        modelTree,
        params,
        seed,
        createdAt,
      },
      ...{ environmentLock, verdict: { outcome: verdict.outcome, digest: verdict.digest } },
      files: (await artifacts.tree(modelTree)).files,
      data: Object.entries(manifest.data).map(([name, content]) => {
        const input = made?.execution.fixed.data[name]
        const path = input?.address ?? input?.path
        return { name, digest: content, ...(path ? { path } : {}) }
      }),
      ...(lock ? { python: lock.pythonVersion } : {}),
      packages: lock ? lockedPackages(lock.requirements) : [],
      startedAt: made?.execution.startedAt ?? createdAt,
    }
  }
}
