// A small model of Keras (TensorFlow), served by Python through its flavour, asked by MLflow's protocol and the Open Inference Protocol.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { freePort } from '../../support/free-ports.ts'
import { answering, environmentFor, run } from '../real-parts.ts'

const here = import.meta.dirname
const root = join(here, '..', '..', '..')
const required = (process.env.REQUIRE ?? '').split(',').includes('keras-models')
const python = await environmentFor(join(here, 'requirements.txt'))
if ('reason' in python) {
  console.log(`keras-models: ${required ? 'failed' : 'skipped'}: ${python.reason}`)
  process.exitCode = required ? 1 : 0
} else {
  const failed = await check(python.path)
  console.log(`keras-models: ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}

async function check(path: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-keras-'))
  let child: ChildProcess | undefined
  try {
    const quiet = { MLFLOW_DISABLE_TELEMETRY: 'true', GIT_PYTHON_REFRESH: 'quiet', TF_CPP_MIN_LOG_LEVEL: '3' }
    const made = await run(path, ['-W', 'ignore', join(here, 'make_model.py'), join(folder, 'model')], quiet)
    if (made.code !== 0) throw new Error(made.errors.slice(-3_000))
    const { rows, answers } = JSON.parse(made.output.trim().split('\n').at(-1)!) as Record<string, number[][]>
    const port = await freePort()
    const words = ['serve', join(folder, 'model'), '--name', 'net', '--port', String(port), '--python', path]
    const main = join(root, 'src', 'main.ts')
    child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...words], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const url = `http://127.0.0.1:${port}`
    await answering(`${url}/ping`, child, text(child.stderr!), 180_000)
    const input = { name: 'input-0', datatype: 'FP32', shape: [2, 4], data: rows!.flat() }
    const scored = await ask<{ predictions: number[][] }>(`${url}/invocations`, { inputs: rows })
    const inferred = await ask<{ outputs: { datatype: string; shape: number[]; data: number[] }[] }>(
      `${url}/v2/models/net/infer`,
      { inputs: [input] },
    )
    const [output] = inferred.outputs
    const isRight = (numbers: number[]) =>
      numbers.length === 6 && numbers.every((number, at) => Math.abs(number - answers!.flat()[at]!) < 1e-6)
    const checks = {
      '/invocations answers what Keras answers': isRight(scored.predictions.flat()),
      'the Open Inference Protocol answers it as FP32 [2, 3]':
        isRight(output!.data) && output!.datatype === 'FP32' && output!.shape.join() === '2,3',
    }
    for (const [name, holds] of Object.entries(checks)) console.log(`${holds ? 'ok     ' : 'FAILED '} ${name}`)
    return Object.values(checks).filter((holds) => !holds).length
  } finally {
    if (child && child.exitCode === null) {
      const gone = new Promise((resolve) => child!.once('exit', resolve))
      child.kill('SIGTERM')
      await gone
    }
    rmSync(folder, { recursive: true, force: true })
  }
}

async function ask<Answer>(url: string, body: unknown): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${url} answers ${response.status}: ${await response.text()}`)
  return (await response.json()) as Answer
}
