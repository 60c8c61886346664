import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { runningDataFolder } from '../compose/data-folders.ts'
import { memberFacts } from '../compose/members.ts'
import { type Client, createClient } from '../kernel/client.ts'
import { AppError } from '../kernel/errors.ts'
import type { CliIo } from './io.ts'
import { localGit } from './local-git.ts'

/** Options that every command takes. */
export type GlobalOptions = { dataDir?: string; server?: string; project?: string }

export type Environment = Readonly<Record<string, string | undefined>>

/** What a command has to do with: how it speaks, where it stands, and the server that it asks. */
export type CliContext = {
  io: CliIo
  env: NodeJS.ProcessEnv
  cwd: string
  now: () => number
  options: GlobalOptions
  /** Of the server that is asked. */
  dataDir: () => Promise<string>
  /** Where a server that is started or ended here works: never one that was only found running elsewhere. */
  ownDataDir: () => Promise<string>
  serverUrl: () => Promise<string>
  /** What proves to the server who asks; undefined where none is known for that server. */
  token: () => Promise<string | undefined>
  client: () => Promise<Client>
  /** The project of `--project`, of the repository here, or the only one that there is. */
  project: () => Promise<string>
  /** The same without the last: undefined outside any project's repository. */
  projectHere: () => Promise<string | undefined>
}

const dataFolderName = '.modelwright'

export function createContext(parts: {
  io: CliIo
  env: NodeJS.ProcessEnv
  cwd: string
  options: GlobalOptions
}): CliContext {
  const { io, env, cwd, options } = parts
  const connection = once(() => readConnection(cwd, env))
  const namedDataDir = once(() => findDataDir(cwd, env, options, connection))
  const ownDataDir = once(async () => resolve(cwd, (await namedDataDir()) ?? dataFolderName))
  const dataDir = once(async () => {
    const server = options.server ?? env.MODELWRIGHT_SERVER
    const found = (await namedDataDir()) ?? runningDataFolder(env, server && plainUrl(server))
    return found === undefined ? ownDataDir() : resolve(cwd, found)
  })
  const serverUrl = once(async () => findServer(env, options, await dataDir(), connection))
  const token = once(async () => findToken(env, await dataDir(), await serverUrl(), connection))
  const client = once(async () => {
    const known = await token()
    return createClient({ baseUrl: await serverUrl(), ...(known ? { token: known } : {}) })
  })
  const projectHere = async () => options.project ?? (await connection()).project ?? projectOfFile(cwd)
  const project = once(async () => (await projectHere()) ?? onlyProject(await client()))
  return {
    io,
    env,
    cwd,
    now: () => Date.now(),
    options,
    dataDir,
    ownDataDir,
    serverUrl,
    token,
    client,
    project,
    projectHere,
  }
}

/** What `modelwright init` wrote into the repository's Git settings. */
type Connection = { server?: string; project?: string; dataDir?: string }

async function readConnection(cwd: string, env: Environment): Promise<Connection> {
  const git = localGit(cwd, env)
  const { code, out } = await git('config', '--get', 'remote.modelwright.url').catch(() => ({ code: 1, out: '' }))
  const match = code === 0 ? /^(https?:\/\/.+?)\/git\/([^/]+)\.git\/?$/.exec(out.trim()) : null
  if (!match) return {}
  const helper = await git('config', '--get-all', `credential.${match[1]}.helper`)
  const dataDir = /\s--data\s+(?:'((?:[^']|'\\'')*)'|(\S+))/.exec(helper.out)
  const folder = dataDir?.[1]?.replaceAll("'\\''", "'") ?? dataDir?.[2]
  return { server: match[1]!, project: decodeURIComponent(match[2]!), ...(folder ? { dataDir: folder } : {}) }
}

/** `--data-dir`, `MODELWRIGHT_DATA_DIR`, the nearest `.modelwright` from here upwards, the one that `init` connected to. */
async function findDataDir(
  cwd: string,
  env: Environment,
  options: GlobalOptions,
  connection: () => Promise<Connection>,
): Promise<string | undefined> {
  const named = options.dataDir ?? env.MODELWRIGHT_DATA_DIR
  if (named) return named
  return upwards(cwd, dataFolderName) ?? (await connection()).dataDir
}

/** `--server`, `MODELWRIGHT_SERVER`, the one that runs on the data folder, the Git remote `modelwright`. */
async function findServer(
  env: Environment,
  options: GlobalOptions,
  dataDir: string,
  connection: () => Promise<Connection>,
): Promise<string> {
  const named = options.server ?? env.MODELWRIGHT_SERVER
  if (named) return plainUrl(named)
  const found = memberFacts(join(dataDir, 'run'), 'server')?.url ?? (await connection()).server
  if (found) return plainUrl(found)
  throw new AppError(
    'ServerUnreachable',
    `No server runs on ${dataDir}, and no Git remote "modelwright" names one.`,
    'Start it with `modelwright up`, or name one with --server.',
  )
}

/** The owner's token is shown to the server whose data folder it lies in, and to no other that somebody may have named. */
async function findToken(
  env: Environment,
  dataDir: string,
  server: string,
  connection: () => Promise<Connection>,
): Promise<string | undefined> {
  if (env.MODELWRIGHT_TOKEN) return env.MODELWRIGHT_TOKEN
  const known = await connection()
  const trusted =
    memberFacts(join(dataDir, 'run'), 'server')?.url === server ||
    (known.server === server && known.dataDir !== undefined && resolve(known.dataDir) === resolve(dataDir))
  return trusted ? ownerToken(dataDir) : undefined
}

export const tokenPath = (dataDir: string): string => join(dataDir, 'keys', 'owner.token')

export function ownerToken(dataDir: string): string | undefined {
  const path = tokenPath(dataDir)
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined
}

async function projectOfFile(cwd: string): Promise<string | undefined> {
  const path = upwards(cwd, 'modelwright.yaml')
  if (!path) return undefined
  const { parse } = await import('yaml')
  try {
    const name: unknown = (parse(readFileSync(path, 'utf8')) as { project?: unknown } | null)?.project
    return typeof name === 'string' ? name : undefined
  } catch {
    // Said better by whoever reads the whole file.
    return undefined
  }
}

async function onlyProject(client: Client): Promise<string> {
  const { listProjects } = await import('../projects/projects-contract.ts')
  const { items } = await client(listProjects, { query: {} })
  if (items.length === 1) return items[0]!.name
  throw new AppError(
    'BadRequest',
    items.length === 0
      ? 'This folder belongs to no project, and the server has none yet.'
      : `This folder belongs to no project; the server has ${items.map(({ name }) => name).join(', ')}.`,
    items.length === 0 ? 'Run `modelwright init` in your repository.' : 'Name one with --project.',
  )
}

function upwards(from: string, name: string): string | undefined {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    if (existsSync(join(folder, name))) return join(folder, name)
    if (dirname(folder) === folder) return undefined
  }
}

function plainUrl(text: string): string {
  if (URL.canParse(text) && /^https?:/.test(text)) return text.replace(/\/+$/, '')
  throw new AppError('BadRequest', `"${text}" is no address of a server.`, 'Write it as http://HOST:PORT.')
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}
