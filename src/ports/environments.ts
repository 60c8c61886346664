import type { Digest } from '../kernel/digest.ts'

/** What a project asks for: a Python version range and the text of its requirements file. */
export type EnvironmentRequest = { pythonVersion?: string; requirements: string }

/** Everything exact: the interpreter's version and the compiled requirements. `digest` covers both. */
export type EnvironmentLock = { digest: Digest; pythonVersion: string; requirements: string }

export type Environment = { lock: EnvironmentLock; pythonPath: string; binPath: string }

/**
 * Python environments, one per lock, shared by all who need it.
 * - `resolve` turns ranges into exact versions; it needs the package registry. It throws EnvironmentFailed with the resolver's own words.
 * - `ensure` builds the environment unless it stands; concurrent calls for one lock build it once; a build that was killed half-way
 *   is never taken for a whole one. Progress lines go to `onLine`. The signal cancels.
 */
export interface Environments {
  resolve(request: EnvironmentRequest, onLine: (line: string) => void, signal?: AbortSignal): Promise<EnvironmentLock>
  ensure(lock: EnvironmentLock, onLine: (line: string) => void, signal?: AbortSignal): Promise<Environment>
  /** The environment if it stands, without building. */
  find(digest: Digest): Promise<Environment | undefined>
}
