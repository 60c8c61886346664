import { randomUUID } from 'node:crypto'
import { access, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, digestOfJson, shortDigest } from '../../../kernel/digest.ts'
import { AppError } from '../../../kernel/errors.ts'
import type { EpochMs } from '../../../kernel/time.ts'
import type {
  Environment,
  EnvironmentLock,
  EnvironmentRequest,
  Environments,
  UnusedEnvironment,
} from '../../../ports/environments.ts'
import { holdLock } from './build-lock.ts'
import { installConda, isCondaLock, resolveConda } from './conda.ts'
import { isInUse } from './in-use.ts'
import { findInterpreters, type Interpreter } from './interpreters.ts'
import { lockFromPipReport } from './pip-report.ts'
import { uvSettingsFromPip } from './pip-settings.ts'
import { satisfies } from './python-range.ts'
import { checkRequirements, isBlankRequirements, isPyproject, normalisedRequirements } from './requirements-text.ts'
import { runTool, type ToolResult } from './run-tool.ts'
import { uvInstallation } from './uv-installation.ts'

export type UvOptions = {
  dataDir: string
  /** The whole environment for pip and uv: PATH, HOME, and how this machine reaches its package registry. */
  passEnv: Record<string, string>
  uvCacheDir?: string
  /** Programs to be tried instead of those on the PATH; the first is preferred. */
  pythonCandidates?: string[]
  /** `pip` leaves uv aside altogether. */
  installer?: 'uv' | 'pip'
}

type Listener = (line: string) => void
type Installer = { uv: string | undefined; env: Record<string, string> }
type EnvironmentRecord = { folder: string; lock: EnvironmentLock }
type Build = { result: Promise<Environment>; listeners: Set<Listener>; stop: AbortController }

/**
 * Environments under `envs/`: each in a folder of its own, named by a record `DIGEST.json` that is written last. A build that
 * died has no record; and because every build has a new folder, a uv that outlived its killed server disturbs nobody.
 */
export class UvEnvironments implements Environments {
  readonly #options: UvOptions
  readonly #envsDir: string
  readonly #toolsDir: string
  readonly #builds = new Map<Digest, Build>()
  #interpreters: Promise<Interpreter[]> | undefined
  #installer: Promise<Installer> | undefined

  constructor(options: UvOptions) {
    this.#options = options
    this.#envsDir = join(options.dataDir, 'envs')
    this.#toolsDir = join(options.dataDir, 'tools')
  }

  async resolve(request: EnvironmentRequest, onLine: Listener, signal?: AbortSignal): Promise<EnvironmentLock> {
    if (request.conda !== undefined) return resolveConda(request.conda, await this.#condaAt(onLine, signal))
    checkRequirements(request.requirements)
    const python = await this.#interpreter(
      (one) => satisfies(one.version, request.pythonVersion),
      request.pythonVersion,
    )
    const blank = isBlankRequirements(request.requirements) && !request.projects?.length
    const requirements = blank ? '' : normalisedRequirements(await this.#compile(request, python, onLine, signal))
    const exact = { pythonVersion: python.version, requirements }
    return { digest: digestOfJson(exact), ...exact }
  }

  async ensure(lock: EnvironmentLock, onLine: Listener, signal?: AbortSignal): Promise<Environment> {
    const standing = await this.find(lock.digest)
    signal?.throwIfAborted()
    if (standing) return this.#used(standing)
    const current = this.#builds.get(lock.digest)
    if (!current?.stop.signal.aborted) return this.#join(current ?? this.#begin(lock), onLine, signal)
    await current.result.catch(() => undefined)
    return this.ensure(lock, onLine, signal)
  }

  async find(digest: Digest): Promise<Environment | undefined> {
    const text = await readFile(this.#recordPath(digest), 'utf8').catch(() => undefined)
    if (text === undefined) return undefined
    const { folder, lock } = JSON.parse(text) as EnvironmentRecord
    const environment = this.#environmentAt(folder, lock)
    return (await isThere(environment.pythonPath)) ? environment : undefined
  }

  async removeUnused(before: EpochMs, { dryRun = false } = {}): Promise<UnusedEnvironment[]> {
    const names = await readdir(this.#envsDir).catch(() => [])
    const unused: UnusedEnvironment[] = []
    for (const name of names.filter((one) => /^[0-9a-f]{64}\.json$/.test(one))) {
      const record = join(this.#envsDir, name)
      const { folder, lock } = JSON.parse(await readFile(record, 'utf8')) as EnvironmentRecord
      const usedAt = Math.max(...(await Promise.all([record, this.#usedPath(lock.digest)].map(changedAt))))
      if (usedAt >= before) continue
      if (this.#builds.has(lock.digest) || (await isInUse(join(this.#envsDir, folder)))) continue
      // The record goes first: without it the rest is a build that died.
      if (!dryRun) {
        await rm(record, { force: true })
        await rm(this.#usedPath(lock.digest), { force: true })
        await rm(join(this.#envsDir, folder), { recursive: true, force: true, maxRetries: 3 })
      }
      unused.push({ digest: lock.digest, pythonVersion: lock.pythonVersion, usedAt })
    }
    return unused
  }

  /** The time stamp of an empty file says when the environment was last asked for. */
  async #used(environment: Environment): Promise<Environment> {
    await writeFile(this.#usedPath(environment.lock.digest), '').catch(() => undefined)
    return environment
  }

  #begin(lock: EnvironmentLock): Build {
    const listeners = new Set<Listener>()
    const stop = new AbortController()
    const tell = (line: string) => {
      for (const listener of listeners) listener(line)
    }
    const result = this.#buildAlone(lock, tell, stop.signal).finally(() => this.#builds.delete(lock.digest))
    result.catch(() => undefined) // whoever waits hears of it
    const build = { result, listeners, stop }
    this.#builds.set(lock.digest, build)
    return build
  }

  /** One who cancels stops waiting; the build stops when nobody waits any more. */
  async #join(build: Build, onLine: Listener, signal: AbortSignal | undefined): Promise<Environment> {
    const listener: Listener = (line) => onLine(line)
    build.listeners.add(listener)
    let leave: (() => void) | undefined
    const left = new Promise<never>((_, fail) => {
      leave = () => fail(signal?.reason)
      signal?.addEventListener('abort', leave, { once: true })
      if (signal?.aborted) leave()
    })
    try {
      return await Promise.race([build.result, left])
    } finally {
      signal?.removeEventListener('abort', leave!)
      build.listeners.delete(listener)
      if (build.listeners.size === 0) build.stop.abort(signal?.reason)
    }
  }

  async #buildAlone(lock: EnvironmentLock, onLine: Listener, signal: AbortSignal): Promise<Environment> {
    await mkdir(this.#envsDir, { recursive: true })
    const onWait = () => onLine('Waiting for another process that builds this environment')
    const release = await holdLock(this.#recordPath(lock.digest), onWait, signal)
    try {
      return (await this.find(lock.digest)) ?? (await this.#build(lock, onLine, signal))
    } finally {
      await release()
    }
  }

  async #build(lock: EnvironmentLock, onLine: Listener, signal: AbortSignal): Promise<Environment> {
    await this.#removeBrokenBuilds(lock.digest)
    const folder = `${shortDigest(lock.digest)}-${randomUUID().slice(0, 8)}`
    const environment = this.#environmentAt(folder, lock)
    try {
      await this.#install(lock, join(this.#envsDir, folder), onLine, signal)
      await this.#record(folder, lock)
      return environment
    } catch (error) {
      await rm(join(this.#envsDir, folder), { recursive: true, force: true })
      throw error
    }
  }

  /** A Python of conda is a package among the others. */
  async #install(lock: EnvironmentLock, path: string, onLine: Listener, signal: AbortSignal) {
    if (isCondaLock(lock)) return installConda(lock, path, await this.#condaAt(onLine, signal))
    const python = await this.#interpreter((one) => one.version === lock.pythonVersion, lock.pythonVersion)
    const { uv, env } = await this.#tools(python, onLine)
    const call = { cwd: this.#envsDir, env, onLine, signal }
    const venv = uv
      ? { command: uv, args: ['venv', '--quiet', '--no-project', '--python', python.path, path] }
      : { command: python.path, args: ['-m', 'venv', path] }
    succeeded(await runTool({ ...call, ...venv }), 'The virtual environment could not be made')
    if (lock.requirements === '') return
    const own = join(path, 'bin', 'python')
    const file = join(path, 'requirements.lock')
    await writeFile(file, lock.requirements)
    const pip = uv
      ? {
          command: uv,
          args: ['pip', 'install', '--python', own, '--compile-bytecode', '--require-hashes', '--no-deps', '-r', file],
        }
      : { command: own, args: ['-m', 'pip', 'install', '--require-hashes', '--no-deps', '-r', file] }
    succeeded(
      await runTool({ ...call, ...pip }),
      `The locked packages could not be installed for Python ${python.version}`,
    )
  }

  async #condaAt(onLine: Listener, signal: AbortSignal | undefined) {
    await mkdir(this.#toolsDir, { recursive: true })
    const { dataDir, passEnv } = this.#options
    const place = { toolsDir: this.#toolsDir, cacheDir: join(dataDir, 'cache', 'conda'), env: passEnv, onLine }
    return { ...place, ...(signal ? { signal } : {}) }
  }

  async #compile(
    request: EnvironmentRequest,
    python: Interpreter,
    onLine: Listener,
    signal?: AbortSignal,
  ): Promise<string> {
    const { uv, env } = await this.#tools(python, onLine)
    const cwd = join(this.#toolsDir, `compile-${randomUUID().slice(0, 8)}`)
    const call = { cwd, env, onLine, ...(signal ? { signal } : {}) }
    const failure = `The requirements could not be resolved for Python ${python.version}`
    try {
      await mkdir(cwd, { recursive: true })
      const sources = await writeSources(cwd, request)
      if (uv) {
        const args = request.uvLock === undefined ? compileArguments : exportArguments
        const named = request.uvLock === undefined ? sources : []
        const said = await runTool({ ...call, command: uv, args: [...args, '--python', python.path, ...named] })
        return succeeded(said, failure).stdout
      }
      if (isPyproject(request.requirements) || request.projects?.length) throw pyprojectNeedsUv()
      const command = await this.#pipPython(python, env)
      const args = ['-m', 'pip', 'install', '--quiet', '--dry-run', '--ignore-installed', '--report', '-', '-r']
      return lockFromPipReport(
        succeeded(await runTool({ ...call, command, args: [...args, ...sources] }), failure).stdout,
      )
    } finally {
      await rm(cwd, { recursive: true, force: true })
    }
  }

  /** A bare environment with pip in it: the machine's own Python may have none, and must not be changed. */
  async #pipPython(python: Interpreter, env: Record<string, string>): Promise<string> {
    const path = join(this.#toolsDir, `pip-${python.version}`)
    const args = ['-m', 'venv', path]
    const made = await runTool({ command: python.path, args, cwd: this.#toolsDir, env })
    succeeded(made, 'No virtual environment with pip could be made (on Debian it needs the package python3-venv)')
    return join(path, 'bin', 'python')
  }

  async #tools(python: Interpreter, onLine: Listener): Promise<Installer> {
    this.#installer ??= this.#findInstaller(python, onLine)
    try {
      return await this.#installer
    } catch (error) {
      this.#installer = undefined
      throw error
    }
  }

  async #findInstaller(python: Interpreter, onLine: Listener): Promise<Installer> {
    await mkdir(this.#toolsDir, { recursive: true })
    const { passEnv } = this.#options
    if (this.#options.installer === 'pip') return { uv: undefined, env: passEnv }
    const uv = await uvInstallation({ toolsDir: this.#toolsDir, python: python.path, env: passEnv, onLine })
    if (uv === undefined) return { uv, env: passEnv }
    const args = ['-m', 'pip', 'config', 'list']
    const pip = await runTool({ command: python.path, args, cwd: this.#toolsDir, env: passEnv })
    const env = {
      ...passEnv,
      ...uvSettingsFromPip(pip.code === 0 ? pip.stdout : '', passEnv),
      UV_CACHE_DIR: this.#options.uvCacheDir ?? passEnv.UV_CACHE_DIR ?? join(this.#options.dataDir, 'cache', 'uv'),
      UV_PYTHON_DOWNLOADS: 'never',
      UV_NO_CONFIG: '1', // a uv.toml that happens to lie above the data folder is not meant for us
      UV_NO_PROGRESS: '1',
    }
    return { uv, env }
  }

  async #interpreter(suits: (one: Interpreter) => boolean, wanted: string | undefined): Promise<Interpreter> {
    const known = await this.#interpreters
    const found = known?.find(suits)
    if (found) return found
    this.#interpreters = findInterpreters(this.#options.passEnv, this.#options.pythonCandidates)
    const all = await this.#interpreters
    const late = all.find(suits)
    if (late) return late
    const versions = [...new Set(all.map((one) => one.version))].join(', ') || 'none'
    throw new AppError(
      'EnvironmentFailed',
      `No Python ${wanted ?? '3'} is on this machine; found: ${versions}.`,
      'Install it where the server runs and put it on its PATH, or change python.version in modelwright.yaml.',
    )
  }

  async #record(folder: string, lock: EnvironmentLock): Promise<void> {
    // The packages reach the disk before the record does: after a power loss a record must not name empty files.
    await runTool({
      command: 'sync',
      args: ['-f', join(this.#envsDir, folder)],
      cwd: this.#envsDir,
      env: this.#options.passEnv,
    })
    const beside = join(this.#envsDir, `${folder}.json.partial`)
    await writeFile(beside, JSON.stringify({ folder, lock }), { flush: true })
    await rename(beside, this.#recordPath(lock.digest))
    const envs = await open(this.#envsDir, 'r')
    await envs.sync().finally(() => envs.close())
  }

  async #removeBrokenBuilds(digest: Digest): Promise<void> {
    for (const name of await readdir(this.#envsDir))
      if (name.startsWith(`${shortDigest(digest)}-`))
        await rm(join(this.#envsDir, name), { recursive: true, force: true, maxRetries: 3 })
  }

  #recordPath(digest: Digest): string {
    return join(this.#envsDir, `${digest.replace('sha256:', '')}.json`)
  }

  #usedPath(digest: Digest): string {
    return join(this.#envsDir, `${digest.replace('sha256:', '')}.used`)
  }

  #environmentAt(folder: string, lock: EnvironmentLock): Environment {
    const binPath = join(this.#envsDir, folder, 'bin')
    return { lock, binPath, pythonPath: join(binPath, 'python') }
  }
}

/** uv tells the kinds of file apart by their names; what comes back are the files to compile, and `-c` before the constraints. */
async function writeSources(cwd: string, request: EnvironmentRequest): Promise<string[]> {
  const sources = [isPyproject(request.requirements) ? 'pyproject.toml' : 'requirements.in']
  await writeFile(join(cwd, sources[0]!), request.requirements)
  if (request.uvLock !== undefined) await writeFile(join(cwd, 'uv.lock'), request.uvLock)
  for (const [index, project] of (request.projects ?? []).entries()) {
    const folder = `project-${index}`
    await mkdir(join(cwd, folder))
    await writeFile(join(cwd, folder, 'pyproject.toml'), project)
    sources.push(`${folder}/pyproject.toml`)
  }
  if (request.constraints !== undefined) {
    await writeFile(join(cwd, 'constraints.txt'), request.constraints)
    sources.push('-c', 'constraints.txt')
  }
  return sources
}

const pyprojectNeedsUv = (): AppError =>
  new AppError(
    'NotYetSupported',
    'A pyproject.toml is read by uv alone, and there is no uv here.',
    'Install uv on the server, or list the packages in a requirements.txt.',
  )

/** No index, no header, no paths: a lock holds versions and hashes, and no host. */
const compileArguments = [
  'pip',
  'compile',
  '--quiet',
  '--generate-hashes',
  '--no-header',
  '--no-annotate',
  '--no-emit-index-url',
  '--no-emit-find-links',
  '--no-emit-build-options',
]

/**
 * What a uv.lock says, as requirements. The project itself is not installed: its steps import it from their workspace. Nor are its tools for
 * developing: a new formatter must not train a model again.
 */
const exportArguments = [
  'export',
  '--quiet',
  '--frozen',
  '--no-dev',
  '--no-emit-project',
  '--no-header',
  '--no-annotate',
  '--format',
  'requirements-txt',
]

function succeeded(result: ToolResult, failure: string): ToolResult {
  if (result.code === 0) return result
  const words = result.words.join('\n').trim() || result.stdout.trim().slice(-2000)
  if (/No space left on device|Disk quota exceeded/.test(words))
    throw new AppError('StorageFull', `${failure}: the disk is full.`, 'Free some space, then try again.')
  throw new AppError(
    'EnvironmentFailed',
    `${failure}:\n${words}`,
    'Mend the requirements file, or python.version in modelwright.yaml.',
  )
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

const changedAt = (path: string): Promise<EpochMs> =>
  stat(path).then(
    ({ mtimeMs }) => Math.round(mtimeMs),
    () => 0,
  )
