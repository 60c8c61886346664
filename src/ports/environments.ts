import type { Digest } from '../kernel/digest.ts'
import type { EpochMs } from '../kernel/time.ts'

/**
 * What a project asks for: a Python version range and the text of its requirements file or pyproject.toml, files that it names taken in.
 * `uvLock`: the text of the uv.lock beside a pyproject.toml, which then is what counts. `constraints`: bounds for packages that may be
 * needed. `projects`: the texts of pyproject.toml of projects that are installed in place; their dependencies belong to the environment, they
 * themselves do not.
 */
export type EnvironmentRequest = {
  pythonVersion?: string
  requirements: string
  uvLock?: string
  constraints?: string
  projects?: string[]
  /** The text of an environment.yml; then nothing else is asked for. */
  conda?: string
}

/** Everything exact: the interpreter's version and the compiled requirements (or conda's files, one a line). `digest` covers both. */
export type EnvironmentLock = { digest: Digest; pythonVersion: string; requirements: string }

export type UnusedEnvironment = { digest: Digest; pythonVersion: string; usedAt: EpochMs }

export type Environment = { lock: EnvironmentLock; pythonPath: string; binPath: string }

/**
 * Python environments, one per lock, shared by all who need it.
 * - `resolve` turns ranges into exact versions; it needs the package registry. It throws EnvironmentFailed with the resolver's own words.
 * - `ensure` builds the environment unless it stands; concurrent calls for one lock build it once; a build that was killed half-way
 *   is never taken for a whole one. Progress lines go to `onLine`. The signal cancels, and nothing that was started for it goes on.
 * - `removeUnused` frees those that nobody asked for since then and that no process on this machine uses; each can be built again from its
 *   lock. With `dryRun` it only names them.
 */
export interface Environments {
  resolve(request: EnvironmentRequest, onLine: (line: string) => void, signal?: AbortSignal): Promise<EnvironmentLock>
  ensure(lock: EnvironmentLock, onLine: (line: string) => void, signal?: AbortSignal): Promise<Environment>
  /** The environment if it stands, without building. */
  find(digest: Digest): Promise<Environment | undefined>
  removeUnused(before: EpochMs, options?: { dryRun?: boolean }): Promise<UnusedEnvironment[]>
}
