import { mkdtempSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type RunningServe, runServe } from '../../../src/serving/serve/index.ts'

export const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/serving/${name}`, import.meta.url))

type Options = Partial<Parameters<typeof runServe>[0]>

/** One model, served from this process on a free port. */
export async function serveModel(
  modelPath: string,
  options: Options = {},
): Promise<RunningServe & { stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'mw-serve-'))
  const stopping = new AbortController()
  const running = await runServe({
    modelPath,
    name: 'm',
    version: '1',
    host: '127.0.0.1',
    port: 0,
    pythonPath: 'no-python',
    workerEnv: {},
    folder,
    workers: 1,
    timeoutMs: 120_000,
    maxBodyBytes: 20_000_000,
    batchRows: 64,
    batchDelayMs: 0,
    allowedHosts: [],
    serverVersion: '0',
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    clock: {
      now: () => Date.now(),
      sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {}).catch(() => undefined),
    },
    signal: stopping.signal,
    ...options,
  })
  return {
    ...running,
    stop: async () => {
      stopping.abort()
      await running.finished
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export const post = (url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers,
    body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
  })

/** As proxies ask: the target whole, `http://host/path`, whatever the Host header says. */
export function getWhole(base: string, target: string, host: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(base)
    get({ hostname, port, path: target, headers: { host } }, async (answer) =>
      resolve({ status: answer.statusCode!, body: await text(answer) }),
    ).on('error', reject)
  })
}

/** A request with tensors behind its JSON. */
export function binaryRequest(json: object, ...tensors: Buffer[]): { body: Buffer; headers: Record<string, string> } {
  const head = Buffer.from(JSON.stringify(json))
  return {
    body: Buffer.concat([head, ...tensors]),
    headers: { 'inference-header-content-length': String(head.length) },
  }
}

/** An answer with tensors behind its JSON. */
export async function binaryAnswer(response: Response): Promise<{ json: InferAnswer; rest: Buffer }> {
  const body = Buffer.from(await response.arrayBuffer())
  const length = Number(response.headers.get('inference-header-content-length'))
  return { json: JSON.parse(body.subarray(0, length).toString()) as InferAnswer, rest: body.subarray(length) }
}

export type InferAnswer = {
  model_name: string
  model_version: string
  id: string
  outputs: { name: string; datatype: string; shape: number[]; data?: unknown[]; parameters?: Record<string, unknown> }[]
}

export const floats = (...values: number[]): Buffer => Buffer.from(Float32Array.from(values).buffer)
