import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'

/** A session, its buffers and what is kept of requests; less than that cannot be told from noise. */
export const leastGraphBytes = 4_000_000

/** `bytes`: by how much the process grew when it loaded the graph and ran it once; at least the size of the file, and `leastGraphBytes`. */
export type Probed = { problem: string } | { bytes: number }

/**
 * Loads a graph for the first time in a process that may die of it: a file that is damaged, or made to do damage, must not take
 * down the process that answers for other models. It sees nothing of the environment,
 * but that the library shall not tell its makers of its use.
 * @returns why the graph cannot be served, or what it takes
 */
export async function probeOnnx(path: string, limitMs: number): Promise<Probed> {
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
    if (end.signal) return { problem: `the process that tried to load it was ended by ${end.signal}` }
    if (end.code === 0) return { bytes: Math.max(leastGraphBytes, Number(text) || 0) }
    return { problem: text || `the process that tried to load it ended with status ${end.code}` }
  } finally {
    clearTimeout(late)
  }
}

// As text, so that it is the same from the sources and from the bundle. The library's own memory is taken before the graph is: at the
// first session, so a tiny graph (Identity of one float) is opened first. A run on made-up zeros need not suit the graph: what it took till
// then counts.
const script = `
const { statSync } = require('node:fs')
const [library, path] = process.argv.slice(1)
const { InferenceSession, Tensor } = require(library)
const options = { intraOpNumThreads: 1, logSeverityLevel: 4, extra: { session: { intra_op: { allow_spinning: '0' } } } }
const identity = Buffer.from('CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCAhAN', 'base64')
const arrays = { float32: Float32Array, float64: Float64Array, int64: BigInt64Array, uint64: BigUint64Array, int32: Int32Array,
  uint32: Uint32Array, int16: Int16Array, uint16: Uint16Array, int8: Int8Array, uint8: Uint8Array, bool: Uint8Array }
const zeros = ({ type, shape }) => {
  const dims = shape.map((size) => (typeof size === 'number' && size >= 0 ? size : 1))
  const count = dims.reduce((product, size) => product * size, 1)
  return new Tensor(type, type === 'string' ? Array(count).fill('') : new arrays[type](count), dims)
}
const main = async () => {
  await InferenceSession.create(identity, options).catch(() => undefined)
  const before = process.memoryUsage.rss()
  const session = await InferenceSession.create(path, options)
  await Promise.resolve()
    .then(() => session.run(Object.fromEntries(session.inputMetadata.map((one) => [one.name, zeros(one)]))))
    .catch(() => undefined)
  const bytes = Math.max(statSync(path).size, process.memoryUsage.rss() - before)
  process.stdout.write(String(bytes), () => process.exit(0))
}
main().catch((error) => process.stdout.write(String(error.message).slice(0, 2000), () => process.exit(1)))
`
