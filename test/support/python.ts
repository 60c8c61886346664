import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/**
 * The interpreter for tests with a real Python, from MODELWRIGHT_TEST_PYTHON. Undefined, with the reason printed, where there is
 * none; an error where REQUIRE names python.
 */
export function testPython(): string | undefined {
  const path = process.env.MODELWRIGHT_TEST_PYTHON
  if (path) return path
  const reason = 'MODELWRIGHT_TEST_PYTHON names no interpreter with mlflow and scikit-learn'
  if ((process.env.REQUIRE ?? '').split(',').includes('python')) throw new Error(`REQUIRE names python, but ${reason}.`)
  console.warn(`Skipped: ${reason}.`)
  return undefined
}

type Answer = { ok: true; result: unknown } | { ok: false; error: string; errorCode: string | null; trace: string }

/** What mlflow in a test does not need: a home, progress on the terminal, news of its own, second tries. */
const quietly = {
  HOME: '/nonexistent',
  GIT_PYTHON_REFRESH: 'quiet',
  MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR: 'false',
  MLFLOW_HTTP_REQUEST_MAX_RETRIES: '0',
  MLFLOW_DISABLE_TELEMETRY: 'true',
  PYTHONWARNINGS: 'ignore',
}

/** One Python process that keeps its imports and variables from one piece of code to the next. */
export class PythonSession {
  readonly #process: ChildProcessWithoutNullStreams
  readonly #answers: AsyncIterator<string>

  constructor(python: string, env: Record<string, string>) {
    const script = fileURLToPath(new URL('../dialects/mlflow/python_session.py', import.meta.url))
    this.#process = spawn(python, ['-u', script], { env: { PATH: process.env.PATH, ...quietly, ...env } })
    this.#answers = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]()
    this.#process.stderr.resume()
  }

  /** Runs code; its value is what it assigns to `result`. Non-finite numbers come as texts, what has no JSON form as str(). */
  async run<T = unknown>(code: string, env: Record<string, string> = {}): Promise<T> {
    const answer = await this.attempt(code, env)
    if (!answer.ok) throw new Error(answer.trace)
    return answer.result as T
  }

  /** Runs code that should fail: the error as Python words it, with MLflow's code. */
  async failure(code: string, env: Record<string, string> = {}): Promise<{ error: string; errorCode: string | null }> {
    const answer = await this.attempt(code, env)
    if (answer.ok) throw new Error(`No error: ${JSON.stringify(answer.result)}`)
    return answer
  }

  async attempt(code: string, env: Record<string, string> = {}): Promise<Answer> {
    this.#process.stdin.write(`${JSON.stringify({ code: dedented(code), env })}\n`)
    const { value, done } = await this.#answers.next()
    if (done) throw new Error('The Python process ended.')
    return JSON.parse(value) as Answer
  }

  end(): Promise<void> {
    return new Promise((resolve) => {
      this.#process.once('exit', () => resolve())
      this.#process.kill('SIGKILL')
    })
  }
}

function dedented(code: string): string {
  const lines = code
    .split('\n')
    .filter((line, index, all) => line.trim() !== '' || (index > 0 && index < all.length - 1))
  const indent = Math.min(...lines.filter((line) => line.trim() !== '').map((line) => /^ */.exec(line)![0].length))
  return lines.map((line) => line.slice(indent)).join('\n')
}
