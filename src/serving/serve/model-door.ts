import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServedModel } from '../models/served-model.ts'
import { answerAtDoor, belowV2 } from '../protocols/http-door.ts'
import { bodyOf, decoded, hangUpSignal, onlyMethods, send, sendJson, sendText } from '../protocols/http-exchange.ts'
import type { ModelRepository } from '../protocols/model-repository.ts'
import { formOf } from '../protocols/scoring-form.ts'
import { ScoringError } from '../scoring-error.ts'
import { docsPage } from './docs-page.ts'
import { openApiOf } from './openapi.ts'

export type DoorSetting = {
  model: ServedModel
  repository: ModelRepository
  /** Told by `/version`. */
  version: string
  maxBodyBytes: number
  now: () => number
  allowedHosts?: readonly string[]
  token?: string
  /** An input example that the model was saved with, as JSON of `/invocations`. */
  example?: unknown
}

/** The HTTP door of one model: MLflow's scoring protocol, SageMaker's container contract, the Open Inference Protocol, OpenAPI. */
export const answerModelHttp = (setting: DoorSetting, request: IncomingMessage, response: ServerResponse) =>
  answerAtDoor(
    {
      allowedHosts: setting.allowedHosts,
      token: setting.token,
      wayOf: (path) => ({ path, oip: belowV2(path) }),
      oip: () => setting,
      answer: ({ path }) => route(setting, path, request, response),
    },
    request,
    response,
  )

async function route(
  setting: DoorSetting,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { model, version } = setting
  if (path === '/invocations' || isDeployment(setting, path)) return invoke(setting, request, response)
  const reads = readable[path]
  if (!reads) throw new ScoringError(404, 'ENDPOINT_NOT_FOUND', `There is nothing at ${path}; ${waysIn(model.name)}`)
  onlyMethods(request, response, 'GET', 'HEAD')
  await reads(request, response, { ...setting, version })
}

/** Where mlflow's deployments client looks for an endpoint of the model's name. */
function isDeployment({ repository }: DoorSetting, path: string): boolean {
  const named = /^\/endpoints\/([^/]+)\/invocations$/.exec(path)
  return named !== null && repository.find(decoded(named[1]!)) !== undefined
}

const waysIn = (name: string): string =>
  `there are /invocations, /ping, /health, /version, /v2/models/${name}/infer, /openapi.json and /docs.`

type Read = (request: IncomingMessage, response: ServerResponse, setting: DoorSetting) => Promise<void>

const alive: Read = (request, response, { model }) =>
  send(request, response, model.state === 'ready' ? 200 : 503, Buffer.from('\n'), {
    'content-type': 'application/json',
  })

const readable: Record<string, Read> = {
  '/ping': alive,
  '/health': alive,
  '/version': (request, response, { version }) => sendText(request, response, 200, version),
  '/openapi.json': (request, response, { model, example }) =>
    sendJson(request, response, 200, openApiOf(model, example)),
  '/docs': (request, response, { model, example }) =>
    send(request, response, 200, Buffer.from(docsPage(model, example)), {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
    }),
}

async function invoke(
  { model, maxBodyBytes }: DoorSetting,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  onlyMethods(request, response, 'POST')
  const form = formOf(request.headers['content-type'])
  const body = await bodyOf(request, maxBodyBytes)
  const answer = await model.score({ form, body, drop: [] }, hangUpSignal(response))
  await send(request, response, 200, answer, { 'content-type': 'application/json' })
}
