import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ended, type Said } from '../cli/terminal.ts'

const main = join(import.meta.dirname, '../../src/main.ts')

/** A folder with servers of ours in it, each on data of its own, and the program as a person starts it. */
export function place() {
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-imports-'))
  const servers = new Map<string, { child: ChildProcess; over: Promise<Said> }>()
  const env = { PATH: process.env.PATH, HOME: folder, MODELWRIGHT_LOG_LEVEL: 'error' }
  const start = (args: readonly string[]): ChildProcess =>
    spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args], {
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  const kill = async (name: string): Promise<void> => {
    const server = servers.get(name)
    if (!server) return
    server.child.kill('SIGKILL')
    await server.over
    rmSync(join(folder, name, 'run', 'server.json'), { force: true })
  }
  return {
    folder,
    start,
    kill,
    /** Starts, or starts again on the same data; the address. */
    server: async (name: string): Promise<string> => {
      const child = start(['server', '--port', '0', '--data-dir', join(folder, name)])
      const over = ended(child)
      servers.set(name, { child, over })
      const facts = join(folder, name, 'run', 'server.json')
      while (!existsSync(facts)) {
        if (child.exitCode !== null) throw new Error((await over).err)
        await sleep(20)
      }
      return (JSON.parse(readFileSync(facts, 'utf8').replace(/\0.*$/s, '')) as { url: string }).url
    },
    mw: (name: string, ...args: string[]): Promise<Said> => ended(start([...args, '--data-dir', join(folder, name)])),
    close: async () => {
      for (const name of servers.keys()) await kill(name)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
