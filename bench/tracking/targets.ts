import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { postgresBinaries, startServer as startPostgres } from '../../test/support/postgres-server.ts'
import { freePort, root } from '../support/family.ts'
import { fillPeer } from './fill-peer.ts'
import { fill } from './workloads.ts'

export type Running = {
  url: string
  pid: number
  startedInMs: number
  /** An experiment with that many runs. */
  fill: (runs: number) => Promise<string>
  end: () => Promise<void>
}

export type Target = { name: string; start: (folder: string) => Promise<Running> }

/** What can be measured on this machine; what cannot is said. */
export async function targets(say: (line: string) => void): Promise<Target[]> {
  const mlflow = mlflowProgram(say)
  const fasttrackml = process.env.FASTTRACKML
  const hasPostgres = postgresBinaries() !== undefined
  if (!hasPostgres) say('PostgreSQL is not installed: measured without it')
  return [
    { name: 'ours, SQLite', start: (folder) => startOurs(folder) },
    { name: 'ours, SQLite, durability full', start: (folder) => startOurs(folder, ['--durability', 'full']) },
    ...(hasPostgres
      ? [
          {
            name: 'ours, PostgreSQL',
            start: (folder: string) => onPostgres((url) => startOurs(folder, ['--database', url])),
          },
        ]
      : []),
    ...(mlflow
      ? [{ name: 'mlflow, SQLite', start: (folder: string) => theirs(mlflow, folder, `sqlite:///${folder}/mlflow.db`) }]
      : []),
    ...(mlflow && hasPostgres
      ? [
          {
            name: 'mlflow, PostgreSQL',
            start: (folder: string) =>
              onPostgres((url) => theirs(mlflow, folder, url.replace('postgres://', 'postgresql://'))),
          },
        ]
      : []),
    ...(fasttrackml
      ? [{ name: 'FastTrackML, SQLite', start: (folder: string) => fastTrack(fasttrackml, folder) }]
      : []),
  ]
}

export async function startOurs(folder: string, words: string[] = []): Promise<Running> {
  const port = await freePort()
  const server = await started(port, process.execPath, [
    '--disable-warning=ExperimentalWarning',
    join(root, 'dist', 'main.js'),
    ...['server', '--data', join(folder, 'data'), '--port', String(port), '--log-level', 'warn', ...words],
  ])
  return { ...server, fill: (runs) => fill(server.url, runs) }
}

async function theirs(mlflow: string, folder: string, database: string): Promise<Running> {
  const port = await freePort()
  const server = await started(port, join(mlflow, 'bin', 'mlflow'), [
    ...['server', '--host', '127.0.0.1', '--port', String(port), '--backend-store-uri', database],
    ...['--artifacts-destination', join(folder, 'artifacts')],
  ])
  return { ...server, fill: async (runs) => fillPeer(join(mlflow, 'bin', 'python'), database, folder, runs) }
}

async function fastTrack(program: string, folder: string): Promise<Running> {
  const port = await freePort()
  const server = await started(port, program, [
    ...['server', '--listen-address', `127.0.0.1:${port}`, '--database-uri', `sqlite://${folder}/fasttrackml.db`],
    ...['--default-artifact-root', join(folder, 'artifacts')],
  ])
  return { ...server, fill: (runs) => fill(server.url, runs) }
}

/** A PostgreSQL of its own, with its disk's synchronisation on, as in production. */
async function onPostgres(start: (url: string) => Promise<Running>): Promise<Running> {
  const postgres = await startPostgres({ synchronised: true })
  const server = await start(`${postgres.url}/postgres`)
  return {
    ...server,
    end: async () => {
      await server.end()
      await postgres.stop()
    },
  }
}

async function started(port: number, program: string, words: string[]): Promise<Omit<Running, 'fill'>> {
  const url = `http://127.0.0.1:${port}`
  const began = performance.now()
  const child = spawn(program, words, { stdio: 'ignore', detached: true })
  while (
    !(await fetch(`${url}/health`).then(
      (answer) => answer.ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`)
    await sleep(5)
  }
  return { url, pid: child.pid!, startedInMs: performance.now() - began, end: () => endGroup(child) }
}

/** `mlflow server` is a family of processes. */
async function endGroup(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve))
  process.kill(-child.pid!, 'SIGTERM')
  await Promise.race([ended, sleep(10_000)])
  try {
    process.kill(-child.pid!, 'SIGKILL')
  } catch {
    // All of them are gone.
  }
}

/** MLflow in an environment of its own, made once. */
function mlflowProgram(say: (line: string) => void): string | undefined {
  const folder = join(root, 'node_modules', '.cache', 'bench-mlflow')
  const marker = join(folder, 'complete')
  if (existsSync(marker)) return folder
  say('installing mlflow …')
  mkdirSync(folder, { recursive: true })
  const made =
    spawnSync('python3', ['-m', 'venv', folder]).status === 0 &&
    spawnSync(join(folder, 'bin', 'pip'), ['install', '-q', 'mlflow>=3.17,<4', 'psycopg2-binary'], { stdio: 'inherit' })
      .status === 0
  if (!made) {
    say('mlflow could not be installed: measured without it')
    return undefined
  }
  writeFileSync(marker, '')
  return folder
}
