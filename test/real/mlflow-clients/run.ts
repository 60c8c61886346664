// The same checks by each client that teams have: in an environment of its own, against a real server on loopback.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { freePort } from '../../support/free-ports.ts'
import { answering, environmentFor, run } from '../real-parts.ts'

const here = import.meta.dirname
const root = join(here, '..', '..', '..')
const clients = [
  { name: 'mlflow 2.9', requirements: join(here, 'requirements-2.9.txt') },
  { name: 'mlflow 2.22', requirements: join(here, 'requirements-2.22.txt') },
  { name: 'mlflow 3', requirements: join(root, 'test', 'requirements.txt') },
]
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
