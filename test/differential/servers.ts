import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../support/free-ports.ts'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const startLimitMs = 180_000

export type Servers = { stock: string; ours: string; end: () => void }

/** A stock `mlflow server` and ours, both empty, on loopback. */
export async function startServers(python: string): Promise<Servers> {
  const folder = mkdtempSync(join(tmpdir(), 'mw-differential-'))
  const processes: ChildProcess[] = []
  const end = () => {
    for (const { pid } of processes) if (pid) endGroup(pid)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const [stock, ours] = [await freePort(), await freePort()]
    processes.push(stockServer(python, stock, join(folder, 'stock')), ourServer(ours, join(folder, 'ours')))
    await Promise.all([stock, ours].map((port) => answering(port)))
    return { stock: urlOf(stock), ours: urlOf(ours), end }
  } catch (error) {
    end()
    throw error
  }
}

const urlOf = (port: number) => `http://127.0.0.1:${port}`

function stockServer(python: string, port: number, folder: string): ChildProcess {
  const words = ['-m', 'mlflow', 'server', '--backend-store-uri', 'sqlite:///stock.db', '--serve-artifacts']
  mkdirSync(folder)
  return spawn(
    python,
    [...words, '--artifacts-destination', 'files', '--host', '127.0.0.1', '--port', String(port), '--workers', '1'],
    {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, MLFLOW_DISABLE_TELEMETRY: 'true', GIT_PYTHON_REFRESH: 'quiet' },
      stdio: 'ignore',
      // Its workers end with its group.
      detached: true,
    },
  )
}

function ourServer(port: number, folder: string): ChildProcess {
  const words = ['server', '--port', String(port), '--data', folder, '--log-level', 'error']
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(root, 'src', 'main.ts'), ...words], {
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true,
  })
}

async function answering(port: number): Promise<void> {
  const until = performance.now() + startLimitMs
  while (performance.now() < until) {
    if ((await fetch(`${urlOf(port)}/health`).catch(() => undefined))?.ok) return
    await sleep(100)
  }
  throw new Error(`No server answered on port ${port} within ${startLimitMs / 1000} s.`)
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
