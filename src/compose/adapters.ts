import { join } from 'node:path'
import { SystemClock } from '../adapters/clock/system/system-clock.ts'
import { FileTurnedClock } from '../adapters/clock/turnable/file-turned-clock.ts'
import { UvEnvironments } from '../adapters/environments/uv/uv-environments.ts'
import { LocalExecutor } from '../adapters/executor/local/local-executor.ts'
import { FsObjectStore } from '../adapters/objects/fs/fs-object-store.ts'
import { GitRepositories } from '../adapters/repository/git-cli/git-repositories.ts'
import type { Clock } from '../ports/clock.ts'
import type { Environments } from '../ports/environments.ts'
import type { Executor } from '../ports/executor.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { Repositories } from '../ports/repository.ts'
import { type Config, machineEnvironment } from './config.ts'

/** The folders of src/adapters, by port: a test holds this list against what lies there. */
export const adapterNames = {
  clock: ['system', 'turnable'],
  environments: ['uv'],
  executor: ['local'],
  objects: ['fs', 'memory'],
  repository: ['git-cli'],
} as const

export type Ports = {
  clock: Clock
  environments: Environments
  executor: Executor
  objects: ObjectStore & { clearLeftovers(): Promise<void>; close(): void }
  repositories: Repositories & { close(): Promise<void> | void }
}

/** Configuration → ports. */
export function createPorts(config: Config): Ports {
  const path = config.environment.PATH ?? '/usr/local/bin:/usr/bin:/bin'
  return {
    clock: createClock(config),
    environments: new UvEnvironments({
      dataDir: config.dataDir,
      passEnv: {
        ...machineEnvironment(config.environment),
        PATH: path,
        HOME: config.environment.HOME ?? config.dataDir,
      },
      ...(config.uvCacheDir ? { uvCacheDir: config.uvCacheDir } : {}),
    }),
    executor: new LocalExecutor(),
    objects: new FsObjectStore(config.objectsDir),
    repositories: new GitRepositories({ root: join(config.gitDir, 'repositories'), path }),
  }
}

export const createClock = (config: Pick<Config, 'clockFile'>): Clock =>
  config.clockFile ? new FileTurnedClock(config.clockFile) : new SystemClock()
