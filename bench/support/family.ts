import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const program = join(root, 'dist', 'main.js')

export type Started = {
  process: ChildProcess
  url: string
  gatewayUrl: string
  dataDir: string
  token: string
  startedInMs: number
  end: () => Promise<void>
}

/** Starts the built program (`server`, or `up` for the whole family) on a data folder of its own, and waits for its first answer. */
export async function start(
  command: 'server' | 'up',
  dataDir = mkdtempSync(join(tmpdir(), 'mw-bench-')),
): Promise<Started> {
  const [port, gatewayPort] = [await freePort(), await freePort()]
  const url = `http://127.0.0.1:${port}`
  const gatewayUrl = `http://127.0.0.1:${gatewayPort}`
  const began = performance.now()
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      program,
      command,
      '--data-dir',
      dataDir,
      '--port',
      String(port),
      '--gateway-port',
      String(gatewayPort),
      '--log-level',
      'warn',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  while (!(await answers(`${url}/health`))) await sleep(5)
  const startedInMs = performance.now() - began
  while (command === 'up' && !(await answers(`${gatewayUrl}/health`))) await sleep(20)
  const end = async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
  }
  return {
    process: child,
    url,
    gatewayUrl,
    dataDir,
    token: readFileSync(join(dataDir, 'keys', 'owner.token'), 'utf8').trim(),
    startedInMs,
    end,
  }
}

export const remove = (folder: string): void => rmSync(folder, { recursive: true, force: true })

/** Resident memory of a process and all below it, in MB; proportional shares, so that shared pages count once. */
export function memoryOfTree(pid: number): number {
  return treeOf(pid).reduce((sum, each) => sum + proportionalKb(each), 0) / 1000
}

/** Processor time that a process and all below it have used, in ms; counted by the kernel in hundredths of a second. */
export function cpuOfTree(pid: number): number {
  const ticks = treeOf(pid).map((each) => {
    const fields = readFileSync(`/proc/${each}/stat`, 'utf8').split(') ')[1]!.split(' ')
    return Number(fields[11]) + Number(fields[12])
  })
  return ticks.reduce((sum, each) => sum + each * 10, 0)
}

function treeOf(pid: number): number[] {
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
  return [pid, ...children.flatMap((child) => treeOf(Number(child)))]
}

function parentOf(pid: string): number {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  } catch {
    return -1
  }
}

const proportionalKb = (pid: number): number =>
  Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0)

async function answers(url: string): Promise<boolean> {
  return (await fetch(url).catch(() => undefined))?.ok === true
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
