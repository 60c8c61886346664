import { execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chownSync, existsSync, mkdtempSync, readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { freePort } from './free-ports.ts'

/** Where the tests' PostgreSQL listens, as a URL without a database; unset where there is none on this machine. */
export const postgresVariable = 'MODELWRIGHT_TEST_POSTGRES'
/** What this run of the tests has in common. */
export const runVariable = 'MODELWRIGHT_TEST_RUN'

/** vitest's global set-up: what all test files share, gone afterwards. */
export default async function setUp(): Promise<() => Promise<void>> {
  const run = randomUUID().replaceAll('-', '')
  process.env[runVariable] = run
  const stopPostgres = await startPostgres()
  return async () => {
    await stopPostgres?.()
    // test/journeys/support/shared-environment.ts
    for (const suffix of ['', '.building'])
      await rm(join(tmpdir(), `modelwright-environment-${run}${suffix}`), { recursive: true, force: true })
  }
}

/**
 * One PostgreSQL of Debian's packages for all test files, in a folder of its own, gone afterwards.
 * A server that is there already may be named by the variable.
 */
async function startPostgres(): Promise<(() => Promise<void>) | undefined> {
  if (process.env[postgresVariable] !== undefined) return undefined
  const binaries = postgresBinaries()
  if (!binaries) {
    if (/\bpostgres\b/.test(process.env.REQUIRE ?? ''))
      throw new Error('REQUIRE names postgres, but it is not installed')
    console.log('PostgreSQL suites are skipped: no /usr/lib/postgresql/*/bin/initdb on this machine')
    return undefined
  }
  const server = await startServer()
  process.env[postgresVariable] = server.url
  return server.stop
}

export type PostgresServer = { url: string; start(): Promise<void>; kill(): Promise<void>; stop(): Promise<void> }

/** A server that a test may also take away and bring back. It waits for the disk only where that is what is measured. */
export async function startServer({ synchronised = false } = {}): Promise<PostgresServer> {
  const binaries = postgresBinaries()!
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-postgres-'))
  const user = unprivileged()
  if (user) chownSync(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  const as = { ...user, cwd: folder, env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC' } }
  execFileSync(
    join(binaries, 'initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--locale=C.UTF-8'],
    { ...as, stdio: 'ignore' },
  )
  const port = await freePort()
  const url = `postgres://postgres@127.0.0.1:${port}`
  let child: ReturnType<typeof spawn> | undefined
  const start = async () => {
    child = spawn(
      join(binaries, 'postgres'),
      [
        '-D',
        data,
        '-p',
        String(port),
        '-k',
        folder,
        '-c',
        'listen_addresses=127.0.0.1',
        '-c',
        `fsync=${synchronised ? 'on' : 'off'}`,
        '-c',
        'max_connections=300',
      ],
      { ...as, stdio: 'ignore' },
    )
    await answering(`${url}/postgres`)
  }
  const end = async (signal: NodeJS.Signals) => {
    if (!child || child.exitCode !== null) return
    const gone = new Promise((resolve) => child!.once('exit', resolve))
    child.kill(signal)
    await gone
  }
  await start()
  return {
    url,
    start,
    kill: () => end('SIGQUIT'),
    stop: async () => {
      await end('SIGQUIT')
      await rm(folder, { recursive: true, force: true, maxRetries: 10 })
    },
  }
}

export function postgresBinaries(): string | undefined {
  const root = '/usr/lib/postgresql'
  if (!existsSync(root)) return undefined
  const folders = readdirSync(root).sort((a, b) => Number(b) - Number(a))
  return folders.map((version) => join(root, version, 'bin')).find((folder) => existsSync(join(folder, 'initdb')))
}

/** PostgreSQL refuses to run as root; Debian's package brings a user. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

async function answering(url: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const client = new pg.Client({ connectionString: url })
    try {
      await client.connect()
      return
    } catch (error) {
      // Three minutes: on a busy machine it may have much to recover.
      if (attempt === 3_600) throw error
      await sleep(50)
    } finally {
      await client.end().catch(() => undefined)
    }
  }
}
