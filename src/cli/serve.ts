import type { ServeSettings, Serving } from '../compose/serve.ts'
import { AppError } from '../kernel/errors.ts'
import type { CliContext } from './context.ts'
import { localModelParts } from './local-model.ts'
import { wholeNumber } from './whole-number.ts'

export type ServeFlags = {
  modelUri?: string
  port?: string
  host?: string
  workers: string
  spare?: boolean
  network?: boolean
  timeout: string
  name?: string
  grpcPort?: string
  python?: string
  envManager: string
  conda: boolean
  passEnv?: string
  convert: string
  allowedHost?: string
  auth: boolean
  maxBodyMb: string
  maxBatch: string
  batchDelay: string
  threads?: string
  concurrency?: string
  queue?: string
  explainRows?: string
}

/** Serves one model until Ctrl-C; says where when it is ready. */
export async function serve(context: CliContext, model: string | undefined, flags: ServeFlags): Promise<number> {
  const { io } = context
  const settings = settingsOf(model, flags)
  const parts = localModelParts(context)
  const { startServing } = await import('../compose/serve.ts')
  const serving = await startServing(settings, parts).catch((error: unknown) => {
    // Told to end while the model still loaded: that is no failure.
    if (parts.signal.aborted) return undefined
    throw error
  })
  if (!serving) return 0
  io.out(io.json ? `${JSON.stringify(told(serving))}\n` : whereToAsk(serving, io.color.cyan))
  await serving.finished
  return 0
}

function settingsOf(model: string | undefined, flags: ServeFlags): ServeSettings {
  const named = model ?? flags.modelUri
  const list = (text: string | undefined) => (text ?? '').split(',').filter((one) => one !== '')
  return {
    model: named,
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(flags.host === undefined ? {} : { host: flags.host }),
    ...(flags.port === undefined ? {} : { port: wholeNumber('--port', flags.port, 0, 65_535) }),
    ...(flags.grpcPort === undefined ? {} : { grpcPort: wholeNumber('--grpc-port', flags.grpcPort, 0, 65_535) }),
    network: flags.network ?? false,
    workers: wholeNumber('--workers', flags.workers, 1, 256),
    spare: flags.spare ?? false,
    timeoutSeconds: wholeNumber('--timeout', flags.timeout, 1, 86_400),
    maxBodyBytes: wholeNumber('--max-body-mb', flags.maxBodyMb, 1, 4_000) * 1_000_000,
    batchRows: wholeNumber('--max-batch', flags.maxBatch, 1, 65_536),
    batchDelayMs: wholeNumber('--batch-delay', flags.batchDelay, 0, 10_000),
    ...(flags.threads === undefined ? {} : { threads: wholeNumber('--threads', flags.threads, 1, 1_024) }),
    ...(flags.concurrency === undefined
      ? {}
      : { concurrency: wholeNumber('--concurrency', flags.concurrency, 1, 10_000) }),
    ...(flags.queue === undefined ? {} : { queue: wholeNumber('--queue', flags.queue, 0, 100_000) }),
    ...(flags.explainRows === undefined
      ? {}
      : { explainRows: wholeNumber('--explain-rows', flags.explainRows, 1, 1_000_000) }),
    allowedHosts: list(flags.allowedHost),
    ...(flags.python === undefined ? {} : { python: flags.python }),
    envManager: flags.conda ? envManagerOf(flags.envManager) : 'local',
    passEnv: list(flags.passEnv),
    convert: convertOf(flags.convert),
    noAuth: !flags.auth,
  }
}

function envManagerOf(text: string): ServeSettings['envManager'] {
  if (text === 'local' || text === 'uv' || text === 'virtualenv') return text
  if (text === 'conda')
    throw new AppError(
      'NotYetSupported',
      '--env-manager conda is not carried out by this version.',
      'Use uv or virtualenv, which make an environment of the same packages.',
    )
  throw new AppError('BadRequest', `--env-manager is "${text}".`, 'There are: local, uv, virtualenv.')
}

function convertOf(text: string): ServeSettings['convert'] {
  if (text === 'auto' || text === 'on' || text === 'off') return text
  throw new AppError('BadRequest', `--convert is "${text}".`, 'There are: auto, on, off.')
}

const told = ({ url, grpcPort, name, version, token }: Serving) => ({
  url,
  grpc: grpcPort === undefined ? address(url) : `${new URL(url).hostname}:${grpcPort}`,
  model: name,
  version,
  ...(token === undefined ? {} : { token }),
})

const address = (url: string): string => url.replace('http://', '')

function whereToAsk(serving: Serving, color: (text: string) => string): string {
  const { url, grpc, model, version, token } = told(serving)
  const lines = [
    `Serving ${model}, version ${version}.`,
    `  MLflow scoring           ${color(`${url}/invocations`)}`,
    `  Open Inference Protocol  ${color(`${url}/v2/models/${encodeURIComponent(model)}/infer`)}`,
    `  gRPC                     ${color(grpc)}`,
    `  how to ask               ${color(`${url}/docs`)}`,
    ...(token === undefined ? [] : [`  token                    ${token}`]),
  ]
  return `${lines.join('\n')}\n`
}
