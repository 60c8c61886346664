// What suites with real parts share: Python environments made once, processes.
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

const cache =
  process.env.MODELWRIGHT_TEST_CACHE ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'modelwright-test')

/** Made once per list of packages. */
export async function environmentFor(requirements: string): Promise<{ path: string } | { reason: string }> {
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12)
  const folder = join(cache, `venv-${digest}`)
  const path = join(folder, 'bin', 'python')
  if (existsSync(join(folder, 'complete'))) return { path }
  mkdirSync(cache, { recursive: true })
  rmSync(folder, { recursive: true, force: true })
  console.log('making its Python environment (once) …')
  for (const [command, words] of [
    ['python3', ['-m', 'venv', folder]],
    [path, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]],
  ] as const) {
    const { code, errors } = await run(command, words)
    if (code !== 0) return { reason: `"${command} ${words.join(' ')}" ended with ${code}: ${errors.slice(-500)}` }
  }
  writeFileSync(join(folder, 'complete'), '')
  return { path }
}

export async function answering(
  url: string,
  child: ChildProcess,
  said: Promise<string>,
  withinMs = 10_000,
): Promise<void> {
  for (let tries = 0; tries < withinMs / 50; tries++) {
    if (child.exitCode !== null) throw new Error(`The server ended with ${child.exitCode}: ${await said}`)
    const response = await fetch(url).catch(() => undefined)
    if (response?.ok) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`The server did not answer within ${withinMs / 1000} s.`)
}

export async function run(command: string, words: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  const code = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await code, output, errors }
}
