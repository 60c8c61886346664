import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { byScheme } from '../adapters/addresses/by-scheme.ts'
import { FileAddresses } from '../adapters/addresses/files/file-addresses.ts'
import { WebAddresses } from '../adapters/addresses/web/web-addresses.ts'
import { SystemClock } from '../adapters/clock/system/system-clock.ts'
import { UvEnvironments } from '../adapters/environments/uv/uv-environments.ts'
import { LocalExecutor } from '../adapters/executor/local/local-executor.ts'
import { FsObjectStore } from '../adapters/objects/fs/fs-object-store.ts'
import { GitRepositories } from '../adapters/repository/git-cli/git-repositories.ts'
import { parseBytes } from '../kernel/units.ts'
import type { Addresses } from '../ports/addresses.ts'
import type { Clock } from '../ports/clock.ts'
import type { Environments } from '../ports/environments.ts'
import type { Executor, ExecutorAbilities } from '../ports/executor.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { Repositories } from '../ports/repository.ts'
import { pythonFolder } from '../serving/index.ts'
import { createClock } from './clock.ts'
import { type Config, machineEnvironment } from './config.ts'

/** The folders of src/adapters, by port: a test holds this list against what lies there. */
export const adapterNames = {
  addresses: ['files', 'web'],
  clock: ['system', 'turnable'],
  environments: ['uv'],
  executor: ['local'],
  objects: ['fs', 'memory'],
  repository: ['git-cli'],
} as const

export type Ports = {
  addresses: Addresses
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
    addresses: createAddresses(config),
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
    executor: new LocalExecutor({
      launcher: launcherScript(),
      environment: launcherEnvironment(config.environment),
      hidden: hiddenFromSteps(config),
    }),
    objects: new FsObjectStore(config.objectsDir),
    repositories: new GitRepositories({ root: join(config.gitDir, 'repositories'), path }),
  }
}

function createAddresses({ dataLimit, dataRoots, environment }: Config): Addresses {
  const mostBytes = parseBytes(dataLimit)!
  // Files carry the machine's own time, also where the server's is turned.
  const files = new FileAddresses({
    roots: dataRoots.split(',').filter(Boolean),
    mostBytes,
    clock: new SystemClock(),
  })
  return byScheme(files, new WebAddresses({ mostBytes, environment: machineEnvironment(environment) }))
}

/**
 * What a step sees of this machine only where it needs to: other steps' folders, the database, objects and keys; the home of who
 * started the server; the checkout in which the data folder lies.
 */
export function hiddenFromSteps({ dataDir, environment }: Pick<Config, 'dataDir' | 'environment'>): string[] {
  const home = environment.HOME
  return [dataDir, ...(home && home !== '/' ? [home] : []), ...checkoutAround(dirname(dataDir))]
}

function checkoutAround(folder: string): string[] {
  for (let at = folder; at !== dirname(at); at = dirname(at)) if (existsSync(join(at, '.git'))) return [at]
  return []
}

/** What this machine can hold steps to: tried here and now. */
export const stepAbilities = (): Promise<ExecutorAbilities> =>
  new LocalExecutor({ launcher: launcherScript(), environment: launcherEnvironment(process.env) }).abilities()

/** Where it finds Python, and room to try what this machine can hide. */
const launcherEnvironment = ({ PATH, TMPDIR }: NodeJS.ProcessEnv): Record<string, string> => ({
  ...(PATH ? { PATH } : {}),
  ...(TMPDIR ? { TMPDIR } : {}),
})

const launcherScript = (): string => join(pythonFolder(), 'launcher', 'modelwright_launcher.py')
