import { type Digest, digestOfJson } from '../kernel/digest.ts'
import type { Clock } from '../ports/clock.ts'
import type { EnvironmentLock, EnvironmentRequest } from '../ports/environments.ts'
import type { Quarantine } from '../ports/repository.ts'
import type { Locks } from './decide/key-changes.ts'
import type { KeyParts, PlanContext } from './plan.ts'
import type { PlanStore } from './plan-store.ts'
import { environmentRequestOf } from './read-requirements.ts'
import type { SourceReader } from './source-reader.ts'

type Parts = { sources: SourceReader; store: PlanStore; clock: Clock }

/** What a project asks of its environment at a commit, and the lock that this was resolved to, once. */
export class EnvironmentLocks {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Undefined where the project names no environment. */
  async requestOf(
    { project, commit, file }: Pick<PlanContext, 'project' | 'commit' | 'file'>,
    quarantine?: Quarantine,
  ): Promise<EnvironmentRequest | undefined> {
    if (!file.python) return undefined
    const files = await this.#parts.sources.filesOf(project, commit, quarantine)
    return environmentRequestOf(files, file.python)
  }

  async known(
    request: EnvironmentRequest,
    { environment }: Pick<PlanContext, 'environment'>,
  ): Promise<EnvironmentLock | undefined> {
    if (environment) return this.byDigest(environment)
    return this.#parts.store.environmentLock(digestOfJson(request))
  }

  remember(request: EnvironmentRequest, lock: EnvironmentLock): Promise<EnvironmentLock> {
    return this.#parts.store.rememberLock(digestOfJson(request), lock, this.#parts.clock.now())
  }

  byDigest(digest: Digest): Promise<EnvironmentLock | undefined> {
    return this.#parts.store.lockByDigest(digest)
  }

  /** Those that two keys name, where they differ: what a change of packages is told from. */
  async between(now: KeyParts, before: KeyParts | undefined): Promise<Locks> {
    if (!before || now.environment === before.environment) return {}
    const [lock, earlier] = await Promise.all(
      [now.environment, before.environment].map(async (digest) =>
        digest === 'none' ? undefined : this.byDigest(digest),
      ),
    )
    return { ...(lock ? { now: lock } : {}), ...(earlier ? { before: earlier } : {}) }
  }
}
