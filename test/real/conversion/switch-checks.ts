// `modelwright serve` with `--convert`: Python answers at once, ONNX Runtime takes over behind it, and no request fails meanwhile.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { freePort } from '../../support/free-ports.ts'
import { answering, run } from '../real-parts.ts'

const root = join(import.meta.dirname, '..', '..', '..')

/** How many checks failed. @param models as make_served.py makes them @param python has the models' packages and the converters */
export async function checkSwitch(python: string, models: string): Promise<number> {
  const cache = mkdtempSync(join(tmpdir(), 'modelwright-switch-'))
  const serving = (words: readonly string[]) => served(python, cache, words)
  let failed = 0
  const check = async (name: string, work: () => Promise<void>) => {
    try {
      await work()
      console.log(`ok      ${name}`)
    } catch (error) {
      failed++
      console.log(`FAILED  ${name}: ${error}`)
    }
  }
  const model = join(models, 'labels')
  const before = readdirSync(model, { recursive: true }).length
  await check('serve --convert auto switches under load, and no request fails', async () => {
    const one = await serving([model, '--convert', 'auto'])
    try {
      expectIs(await platform(one.url, 'labels'), 'mlflow_python_function')
      const answers = await askedUntil(one.url, async () => (await platform(one.url, 'labels')) === 'onnx_onnxv1')
      expectIs([...answers].join(), '200 {"predictions":[1,0]}')
    } catch (error) {
      throw new Error(`${error}; it said: ${one.said()}`)
    } finally {
      await one.stop()
    }
    expectIs(one.said().includes('ONNX Runtime computes this model from now on'), true)
    expectIs(readdirSync(model, { recursive: true }).length, before)
    expectIs(readdirSync(join(cache, 'modelwright', 'conversions')).filter((name) => name.startsWith('.')).length, 0)
  })
  await check('serve --convert auto takes the conversion that is there, and needs no Python', async () => {
    const one = await serving([model, '--python', '/no/such/python'])
    try {
      expectIs(await platform(one.url, 'labels'), 'onnx_onnxv1')
    } finally {
      await one.stop()
    }
  })
  await check('serve --convert auto makes a conversion again that is damaged', async () => {
    const kept = join(cache, 'modelwright', 'conversions')
    for (const name of readdirSync(kept, { recursive: true }).map(String))
      if (name.endsWith('model.onnx')) writeFileSync(join(kept, name), 'no graph')
    const one = await serving([model])
    try {
      expectIs(await platform(one.url, 'labels'), 'mlflow_python_function')
    } finally {
      await one.stop()
    }
    expectIs(one.said().includes('cannot be used'), true)
  })
  await check('serve --convert off stays with Python', async () => {
    const one = await serving([model, '--convert', 'off'])
    try {
      expectIs(await platform(one.url, 'labels'), 'mlflow_python_function')
    } finally {
      await one.stop()
    }
  })
  await check('serve --convert on is ready only as ONNX', async () => {
    const one = await serving([join(models, 'mixed'), '--convert', 'on'])
    try {
      expectIs(await platform(one.url, 'mixed'), 'onnx_onnxv1')
    } finally {
      await one.stop()
    }
  })
  await check('serve --convert on ends with 1 and the reason where a model cannot be converted', async () => {
    const words = [join(models, 'own-code'), '--convert', 'on', '--port', String(await freePort()), '--python', python]
    const { code, errors } = await run(process.execPath, command(words), { XDG_CACHE_HOME: cache })
    expectIs(code, 1)
    expectIs(errors.includes('FunctionTransformer'), true)
  })
  await check('serve --convert auto says once why Python goes on, and does not try again', async () => {
    const one = await serving([join(models, 'own-code')])
    try {
      expectIs(await platform(one.url, 'own-code'), 'mlflow_python_function')
    } finally {
      await one.stop()
    }
    expectIs(one.said().split('FunctionTransformer').length >= 2, true)
  })
  rmSync(cache, { recursive: true, force: true })
  return failed
}

const command = (words: readonly string[]) => [
  '--disable-warning=ExperimentalWarning',
  join(root, 'src', 'main.ts'),
  'serve',
  ...words,
]

async function served(python: string, cache: string, words: readonly string[]) {
  const port = await freePort()
  const own = words.includes('--python') ? [] : ['--python', python]
  const child = spawn(process.execPath, command([...words, ...own, '--port', String(port)]), {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, XDG_CACHE_HOME: cache },
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const url = `http://127.0.0.1:${port}`
  await answering(`${url}/ping`, child, text(child.stderr), 120_000)
  return { url, said: () => said, stop: () => ended(child) }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await gone
}

const platform = async (url: string, name: string): Promise<string> =>
  ((await (await fetch(`${url}/v2/models/${name}`)).json()) as { platform: string }).platform

/** Every answer that eight clients got, one request after the other, until it is over. */
async function askedUntil(url: string, isOver: () => Promise<boolean>): Promise<Set<string>> {
  const answers = new Set<string>()
  let over = false
  const body = JSON.stringify({
    dataframe_split: {
      columns: ['a', 'b c', 'ü'],
      data: [
        [2, -1, 0],
        [-2, 1, 0],
      ],
    },
  })
  const client = async () => {
    while (!over) {
      const response = await fetch(`${url}/invocations`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
      answers.add(`${response.status} ${(await response.text()).replaceAll(' ', '')}`)
    }
  }
  const clients = Array.from({ length: 8 }, client)
  const deadline = performance.now() + 180_000
  while (!(await isOver()) && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 100))
  await new Promise((resolve) => setTimeout(resolve, 500))
  over = true
  await Promise.all(clients)
  expectIs(await isOver(), true)
  return answers
}

function expectIs(found: unknown, expected: unknown): void {
  if (found !== expected) throw new Error(`expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`)
}
