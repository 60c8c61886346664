// The clients that teams have of the serving protocols, each in an environment of its own, against `modelwright serve`.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { freePort } from '../../support/free-ports.ts'
import { answering, environmentFor, run } from '../real-parts.ts'

const here = import.meta.dirname
const root = join(here, '..', '..', '..')
const required = (process.env.REQUIRE ?? '').split(',').includes('serving-clients')
const counted = { passed: 0, failed: 0, skipped: 0 }
const folder = mkdtempSync(join(tmpdir(), 'modelwright-serving-clients-'))
const running: ChildProcess[] = []
const quiet = { MLFLOW_DISABLE_TELEMETRY: 'true', GIT_PYTHON_REFRESH: 'quiet' }

try {
  const models = process.env.MODELWRIGHT_TEST_PYTHON ?? (await pythonFor(join(root, 'test', 'requirements.txt')))
  const clients = await pythonFor(join(here, 'requirements.txt'))
  if (models && clients) await checkAll(models, clients)
} finally {
  await Promise.all(running.map(ended))
  rmSync(folder, { recursive: true, force: true })
}
console.log(`serving-clients: ${counted.passed} passed, ${counted.failed} failed, ${counted.skipped} skipped`)
process.exitCode = counted.failed === 0 ? 0 : 1

async function pythonFor(requirements: string): Promise<string | undefined> {
  const python = await environmentFor(requirements)
  if ('path' in python) return python.path
  console.log(`${required ? 'failed' : 'skipped'}: ${python.reason}`)
  counted[required ? 'failed' : 'skipped']++
  return undefined
}

async function checkAll(models: string, clients: string): Promise<void> {
  mkdirSync(join(folder, 'models'))
  const made = await run(models, ['-W', 'ignore', join(here, 'make_models.py'), join(folder, 'models')], quiet)
  if (made.code !== 0) throw new Error(made.errors)
  const urls: string[] = []
  for (const name of ['echo', 'columns', 'tensor']) urls.push(await served(name, models))
  for (const checks of ['triton_and_requests_checks.py', 'kserve_checks.py']) {
    const { output, errors } = await run(clients, ['-W', 'ignore', join(here, checks), ...urls])
    const lines = output.split('\n').filter((line) => /^(ok|failed) /.test(line))
    console.log(lines.join('\n'))
    const failures = lines.filter((line) => line.startsWith('failed ')).length
    if (failures > 0 || lines.length === 0) console.log(errors)
    counted.passed += lines.length - failures
    counted.failed += lines.length === 0 ? 1 : failures
  }
}

async function served(name: string, python: string): Promise<string> {
  const port = await freePort()
  const words = ['serve', join(folder, 'models', name), '--port', String(port), '--python', python]
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(root, 'src', 'main.ts'), ...words],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  running.push(child)
  const url = `http://127.0.0.1:${port}`
  await answering(`${url}/ping`, child, text(child.stderr), 60_000)
  return `${url}/${name}`
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await gone
}
