import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'

/**
 * Loads a graph for the first time in a process that may die of it: a file that is damaged, or made to do damage, must not take
 * down the process that answers for other models. It sees nothing of the environment,
 * but that the library shall not tell its makers of its use.
 * @returns why the graph cannot be served, or undefined
 */
export async function probeOnnx(path: string, limitMs: number): Promise<string | undefined> {
  const library = createRequire(import.meta.url).resolve('onnxruntime-node')
  const child = spawn(process.execPath, ['--input-type=commonjs', '-e', script, library, path], {
    env: { ORT_DISABLE_TELEMETRY: '1' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const told: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => told.push(chunk))
  const late = setTimeout(() => child.kill('SIGKILL'), limitMs)
  try {
    const end = await new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve({ code, signal }))
    })
    const text = Buffer.concat(told).toString().trim()
    if (end.signal) return `the process that tried to load it was ended by ${end.signal}`
    return end.code === 0 ? undefined : text || `the process that tried to load it ended with status ${end.code}`
  } finally {
    clearTimeout(late)
  }
}

// As text, so that it is the same from the sources and from the bundle.
const script = `
const [library, path] = process.argv.slice(1)
const { InferenceSession } = require(library)
InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 4 }).then(
  () => process.exit(0),
  (error) => {
    process.stdout.write(String(error.message).slice(0, 2000), () => process.exit(1))
  },
)
`
