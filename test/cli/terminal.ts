import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const main = join(import.meta.dirname, '../../src/main.ts')

export type Said = { code: number | null; out: string; err: string }

/** A person's terminal in a repository, and a server of its own: the program is started as a person starts it. */
export async function terminal(files: Record<string, string>) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'modelwright-cli-')))
  const repository = join(folder, 'repository')
  const dataDir = join(folder, 'data')
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOME: folder,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'Ann',
    GIT_AUTHOR_EMAIL: 'ann@example.org',
    GIT_COMMITTER_NAME: 'Ann',
    GIT_COMMITTER_EMAIL: 'ann@example.org',
    MODELWRIGHT_DATA_DIR: dataDir,
    MODELWRIGHT_LOG_LEVEL: 'error',
    MODELWRIGHT_CONVERT: 'off',
  }
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(repository, path)), { recursive: true })
    writeFileSync(join(repository, path), text)
  }
  for (const [path, text] of Object.entries(files)) write(path, text)
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: repository, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  git('init', '-q', '-b', 'main')
  git('add', '-A')
  git('commit', '-qm', 'First pipeline')

  const start = (args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): ChildProcess =>
    spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args], {
      cwd: options.cwd ?? repository,
      env: { ...env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })

  async function mw(args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Said> {
    return ended(start(args, options))
  }

  let server: ChildProcess | undefined
  async function stopServer(): Promise<void> {
    if (!server || server.exitCode !== null) return
    const over = ended(server)
    server.kill('SIGTERM')
    await over
    rmSync(join(dataDir, 'run', 'server.json'), { force: true })
  }

  return {
    repository,
    dataDir,
    write,
    git,
    mw,
    start,
    /** The one JSON value that a command answers with. */
    json: async (...args: string[]) => JSON.parse((await mw([...args, '--json'])).out),
    /** `more`: variables of the server's own. */
    startServer: async (more: NodeJS.ProcessEnv = {}, port = '0') => {
      server = start(['server', '--port', port], { env: more })
      while (!existsSync(join(dataDir, 'run', 'server.json'))) {
        if (server.exitCode !== null) throw new Error((await ended(server)).err)
        await sleep(20)
      }
      return (
        JSON.parse(readFileSync(join(dataDir, 'run', 'server.json'), 'utf8').replace(/\0.*$/s, '')) as { url: string }
      ).url
    },
    stopServer,
    close: async () => {
      await stopServer()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export function ended(child: ChildProcess): Promise<Said> {
  let out = ''
  let err = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ code, out, err }))
  })
}
