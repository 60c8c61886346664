import type { IncomingMessage, ServerResponse } from 'node:http'
import type { InferenceCounts } from '../decide/merge-gateways.ts'
import { notFound, ScoringError } from '../scoring-error.ts'
import { toBeTold } from './error-answers.ts'
import { bodyOf, decoded, hangUpSignal, onlyMethods, send, sendJson, warningHeader } from './http-exchange.ts'
import { modelConfig } from './model-config.ts'
import type { ModelRepository, ServedName } from './model-repository.ts'
import { readOipRequest } from './oip-request.ts'
import { writeOipAnswer } from './oip-response.ts'
import { timedInference } from './timed-inference.ts'

export type OipSetting = { repository: ModelRepository; maxBodyBytes: number; now: () => number }

type Exchange = OipSetting & { request: IncomingMessage; response: ServerResponse }

/** Extensions of the protocol that are carried out here. */
export const extensions = ['binary_tensor_data', 'model_repository', 'model_configuration', 'statistics']

/** Answers what stands below `/v2`; `path` without it. Errors leave as `{"error": …}`. */
export async function answerOip(
  setting: OipSetting,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    await route({ ...setting, request, response }, path)
  } catch (error) {
    await sendOipError(request, response, error)
  }
}

export async function sendOipError(request: IncomingMessage, response: ServerResponse, error: unknown): Promise<void> {
  const told = toBeTold(request, response, error)
  if (told) await sendJson(request, response, told.status, { error: told.message })
}

async function route(exchange: Exchange, path: string): Promise<void> {
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decoded)
  const [first, second] = parts
  if (parts.length === 0) return ask(exchange, () => serverFacts(exchange))
  if (first === 'health' && parts.length === 2) return health(exchange, second!)
  if (first === 'models') return models(exchange, parts.slice(1))
  if (first === 'repository') return repository(exchange, parts.slice(1))
  throw notFound(`There is nothing at /v2/${parts.join('/')}.`)
}

async function ask({ request, response }: Exchange, answer: () => unknown, status = 200): Promise<void> {
  onlyMethods(request, response, 'GET', 'HEAD')
  await sendJson(request, response, status, await answer())
}

const serverFacts = ({ repository: { serverVersion } }: Exchange) => ({
  name: 'modelwright',
  version: serverVersion,
  extensions,
})

/** Clients of KServe read JSON here; those of Triton only the status. */
async function health(exchange: Exchange, what: string): Promise<void> {
  const { isReady } = exchange.repository
  if (what === 'live') return ask(exchange, () => ({ live: true }))
  if (what === 'ready') return ask(exchange, () => ({ ready: isReady }), isReady ? 200 : 503)
  throw notFound(`There is nothing at /v2/health/${what}.`)
}

/** `[NAME[/versions/VERSION]][/ready|/infer|/stats|/config]`, `stats`, or nothing for the list. */
async function models(exchange: Exchange, parts: string[]): Promise<void> {
  const { repository: models } = exchange
  if (parts.length === 0) return ask(exchange, () => ({ models: models.list().map(({ name }) => name) }))
  if (parts.length === 1 && parts[0] === 'stats' && !models.find('stats'))
    return ask(exchange, () => statisticsOf(models, models.list()))
  const { model, rest } = modelOf(models, parts)
  const [what] = rest
  if (rest.length > 1 || (what !== undefined && !['ready', 'infer', 'stats', 'config'].includes(what)))
    throw notFound(`There is nothing at /v2/models/${parts.join('/')}.`)
  if (what === 'infer') return infer(exchange, model)
  if (what === 'stats') return ask(exchange, () => statisticsOf(models, [model]))
  const ready = model.state === 'ready'
  if (what === 'ready') return ask(exchange, () => ({ name: model.name, ready }), ready ? 200 : 503)
  if (!ready && model.facts.platform === '') throw notReady(model)
  return ask(exchange, () => (what === 'config' ? modelConfig(model) : modelFacts(model)))
}

function modelOf(models: ModelRepository, [name, ...rest]: string[]): { model: ServedName; rest: string[] } {
  const model = findModel(models, name!, rest[0] === 'versions' ? rest[1] : undefined)
  return { model, rest: rest[0] === 'versions' ? rest.slice(2) : rest }
}

/** @throws ScoringError 404 */
export function findModel(models: ModelRepository, name: string, version: string | undefined): ServedName {
  const model = models.find(name)
  if (!model)
    throw notFound(
      `There is no model "${name}"; there are: ${models
        .list()
        .map((one) => `"${one.name}"`)
        .join(', ')}.`,
    )
  if (version !== undefined && version !== '' && version !== model.version)
    throw notFound(`Model "${name}" has no version "${version}"; it has "${model.version}".`)
  return model
}

export const notReady = ({ name, state, reason }: ServedName): ScoringError =>
  new ScoringError(503, 'TEMPORARILY_UNAVAILABLE', `Model "${name}" is ${state}${reason ? `: ${reason}` : '.'}`, 1)

export const modelFacts = ({ name, version, facts }: ServedName) => ({
  name,
  versions: [version],
  platform: facts.platform,
  inputs: facts.inputs.map((one) => ({ name: one.name, datatype: one.datatype, shape: one.shape })),
  outputs: facts.outputs.map((one) => ({ name: one.name, datatype: one.datatype, shape: one.shape })),
})

async function infer(exchange: Exchange, model: ServedName): Promise<void> {
  const { request, response, maxBodyBytes, now } = exchange
  onlyMethods(request, response, 'POST')
  const body = await bodyOf(request, maxBodyBytes)
  const jsonLength = request.headers['inference-header-content-length'] as string | undefined
  const { written, id, warnings } = await timedInference({
    model,
    now,
    signal: hangUpSignal(response),
    read: () => readOipRequest(body, jsonLength, model.facts),
    write: writeOipAnswer,
  })
  const inBinary = written.jsonLength !== undefined
  await send(request, response, 200, written.body, {
    'content-type': inBinary ? 'application/octet-stream' : 'application/json',
    ...(inBinary ? { 'inference-header-content-length': written.jsonLength! } : {}),
    ...(id === undefined ? {} : { 'x-modelwright-prediction-id': id }),
    ...warningHeader(warnings),
  })
}

async function repository(exchange: Exchange, parts: string[]): Promise<void> {
  const { request, response, repository: models, maxBodyBytes } = exchange
  const [what, name, action] = parts
  const isIndex = what === 'index' && parts.length === 1
  const isAction = what === 'models' && parts.length === 3 && (action === 'load' || action === 'unload')
  if (!isIndex && !isAction) throw notFound(`There is nothing at /v2/repository/${parts.join('/')}.`)
  onlyMethods(request, response, 'POST')
  const body = await bodyOf(request, maxBodyBytes)
  if (isIndex) return sendJson(request, response, 200, indexOf(models, onlyReady(body)))
  findModel(models, name!, undefined)
  await (action === 'load' ? models.load(name!) : models.unload(name!))
  await sendJson(request, response, 200, {})
}

/** Clients send nothing at all, or `{"ready": …}`. */
function onlyReady(body: Buffer): boolean {
  if (body.length === 0) return false
  try {
    const written: unknown = JSON.parse(body.toString())
    return typeof written === 'object' && written !== null && 'ready' in written && written.ready === true
  } catch {
    throw new ScoringError(400, 'BAD_REQUEST', 'The body must be empty or a JSON object {"ready": true}.')
  }
}

export const indexOf = (models: ModelRepository, onlyReady: boolean) =>
  models
    .list()
    .filter((one) => !onlyReady || one.state === 'ready')
    .map(({ name, version, state, reason }) => ({
      name,
      version,
      state: stateWord[state],
      reason: state === 'ready' ? '' : (reason ?? ''),
    }))

const stateWord: Record<ServedName['state'], string> = {
  ready: 'READY',
  loading: 'LOADING',
  restarting: 'LOADING',
  failed: 'UNAVAILABLE',
  unloaded: 'UNAVAILABLE',
}

/** In the form of Triton's statistics extension; times in ns. */
export async function statisticsOf(repository: ModelRepository, models: readonly ServedName[]) {
  const counts = await repository.statistics(models)
  return { model_stats: models.map((model, at) => modelStats(model, counts[at]!)) }
}

function modelStats({ name, version }: ServedName, stats: InferenceCounts) {
  const duration = ({ count, ms }: InferenceCounts['success']) => ({ count, ns: Math.round(ms * 1e6) })
  const none = { count: 0, ns: 0 }
  return {
    name,
    version,
    last_inference: stats.lastInference,
    inference_count: stats.inferences,
    execution_count: stats.executions,
    inference_stats: {
      success: duration(stats.success),
      fail: duration(stats.fail),
      queue: none,
      compute_input: none,
      compute_infer: duration(stats.compute),
      compute_output: none,
      cache_hit: none,
      cache_miss: none,
    },
    batch_stats: [],
  }
}
