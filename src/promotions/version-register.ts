import type { EpochMs } from '../kernel/time.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { RegistryService } from '../registry/index.ts'
import type { Candidate } from './candidate.ts'
import { buildManifest } from './manifest.ts'
import type { JudgedVersion, PromotionsStore } from './promotions-store.ts'

/** The registry, as far as a promotion needs it. */
export type VersionRegistrar = Pick<RegistryService, 'registerVersion'>

/** Makes a judged candidate a model version: manifest, registration, and the record that its content has a version. */
export class VersionRegister {
  readonly #store: PromotionsStore
  readonly #objects: ObjectStore
  readonly #registry: VersionRegistrar

  constructor(parts: { store: PromotionsStore; objects: ObjectStore; registry: VersionRegistrar }) {
    this.#store = parts.store
    this.#objects = parts.objects
    this.#registry = parts.registry
  }

  /** The manifest first, then version and record in one transaction: a crash in between leaves an object that nobody names. */
  async register(candidate: Candidate, judgedAt: EpochMs): Promise<JudgedVersion> {
    const { origin, verdict } = candidate
    const same = await this.#store.versionByContent(origin.project, origin.model, origin.contentDigest)
    if (same) return this.#judgedAnew(same, candidate)
    const { text, digest } = buildManifest({ ...origin, verdict, createdAt: judgedAt })
    await this.#objects.put(text, digest)
    return this.#store.durably(async (tx) => {
      const { version } = await this.#registry.registerVersion(tx, {
        model: origin.model,
        source: `models:/${origin.loggedModelId}`,
        runId: origin.run,
        loggedModelId: origin.loggedModelId,
        origin: 'modelwright',
        project: origin.project,
        contentDigest: origin.contentDigest,
        manifestDigest: digest,
        verdictId: verdict.id,
        executionId: origin.execution,
      })
      // User code may have registered the same content before: then it keeps its number, and is deployable from now on.
      const judged: JudgedVersion = {
        digest: version.manifestDigest ?? digest,
        version: version.version,
        project: origin.project,
        model: origin.model,
        contentDigest: origin.contentDigest,
        executionId: origin.execution,
        verdictId: verdict.id,
        verdictOutcome: verdict.outcome,
        createdAt: judgedAt,
      }
      await this.#store.addVersion(tx, judged)
      return judged
    })
  }

  /** The same content judged again keeps its version; a clear verdict replaces one that left the matter open. */
  async #judgedAnew(version: JudgedVersion, { verdict }: Candidate): Promise<JudgedVersion> {
    if (version.verdictOutcome !== 'inconclusive' || verdict.outcome === 'inconclusive') return version
    const judged = { ...version, verdictId: verdict.id, verdictOutcome: verdict.outcome }
    await this.#store.durably((tx) => this.#store.addVersion(tx, judged))
    return judged
  }
}
