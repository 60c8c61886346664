// The same checks by each client that teams have: in an environment of its own, against a real server on loopback.
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

const here = import.meta.dirname
const root = join(here, '..', '..', '..')
const clients = [
  { name: 'mlflow 2.9', requirements: join(here, 'requirements-2.9.txt') },
  { name: 'mlflow 2.22', requirements: join(here, 'requirements-2.22.txt') },
  { name: 'mlflow 3', requirements: join(root, 'test', 'requirements.txt') },
]
const cache =
  process.env.MODELWRIGHT_TEST_CACHE ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'modelwright-test')
const required = (process.env.REQUIRE ?? '').split(',').includes('mlflow-clients')

const counted = { passed: 0, failed: 0, skipped: 0 }
const server = await startServer()
try {
  for (const client of clients) await checkWith(client)
} finally {
  await server.stop()
}
console.log(`mlflow-clients: ${counted.passed} passed, ${counted.failed} failed, ${counted.skipped} skipped`)
process.exitCode = counted.failed === 0 ? 0 : 1

async function checkWith({ name, requirements }: (typeof clients)[number]): Promise<void> {
  console.log(`— ${name}`)
  const python = await environmentFor(requirements)
  if ('reason' in python) {
    console.log(`${required ? 'failed' : 'skipped'}: ${python.reason}`)
    counted[required ? 'failed' : 'skipped']++
    return
  }
  const { output, errors } = await run(python.path, ['-W', 'ignore', join(here, 'client_checks.py')], {
    MLFLOW_TRACKING_URI: server.url,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES: '0',
    MLFLOW_DISABLE_TELEMETRY: 'true',
    GIT_PYTHON_REFRESH: 'quiet',
  })
  const lines = output.split('\n').filter((line) => /^(ok|failed) /.test(line))
  console.log(lines.join('\n'))
  const failures = lines.filter((line) => line.startsWith('failed ')).length
  // A client that did not come to its first check has failed as well.
  if (failures > 0 || lines.length === 0) console.log(errors)
  counted.passed += lines.length - failures
  counted.failed += lines.length === 0 ? 1 : failures
}

/** Made once per list of packages. */
async function environmentFor(requirements: string): Promise<{ path: string } | { reason: string }> {
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

async function startServer(): Promise<{ url: string; stop: () => Promise<void> }> {
  const data = mkdtempSync(join(tmpdir(), 'modelwright-clients-'))
  const port = await freePort()
  const words = [join(root, 'src', 'main.ts'), 'server', '--port', String(port), '--data-dir', data]
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const said = text(child.stderr)
  const url = `http://127.0.0.1:${port}`
  await answering(`${url}/health`, child, said)
  return {
    url,
    stop: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
      rmSync(data, { recursive: true, force: true })
    },
  }
}

async function answering(url: string, child: ChildProcess, said: Promise<string>): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) throw new Error(`The server ended with ${child.exitCode}: ${await said}`)
    const response = await fetch(url).catch(() => undefined)
    if (response?.ok) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('The server did not answer within 10 s.')
}

async function run(command: string, words: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  const code = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await code, output, errors }
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}
