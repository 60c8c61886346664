import type { IncomingMessage, ServerResponse } from 'node:http'
import type { GatewayObserved } from '../gateway-state.ts'
import { answerAtDoor, belowV2 } from '../protocols/http-door.ts'
import {
  bodyOf,
  decoded,
  hangUpSignal,
  onlyMethods,
  send,
  sendJson,
  sendText,
  warningHeader,
} from '../protocols/http-exchange.ts'
import { ScoringError } from '../scoring-error.ts'
import type { Endpoint } from './endpoint.ts'
import { repositoryOf } from './endpoint-repository.ts'
import type { Gateway } from './gateway.ts'
import { readScoringRequest } from './scoring-request.ts'
import type { GatewayTold } from './siblings.ts'

export type DoorSetting = {
  gateway: Gateway
  /** Of all processes of the gateway. */
  status: () => Promise<GatewayObserved>
  /** What the other processes tell when they are asked. */
  others: () => Promise<GatewayTold[]>
  version: string
  maxBodyBytes: number
  now: () => number
  allowedHosts?: readonly string[]
  token?: string
}

/** The gateway's HTTP door: MLflow's scoring protocol and the Open Inference Protocol, per endpoint. */
export const answerHttp = (setting: DoorSetting, request: IncomingMessage, response: ServerResponse) =>
  answerAtDoor(
    {
      allowedHosts: setting.allowedHosts,
      token: setting.token,
      culprit: 'the gateway',
      wayOf,
      oip: (way) => oipSetting(setting, way),
      answer: (way) => route(setting, way, request, response),
    },
    request,
    response,
  )

/** `/endpoints/PROJECT/ENVIRONMENT/…` or, for the only endpoint there is, `…` alone. */
type Way = { path: string; endpoint: string | undefined; rest: string; oip: string | undefined }

function wayOf(path: string): Way {
  const named = /^\/endpoints\/([^/]+)\/([^/]+)(\/.*)$/.exec(path)
  const rest = named ? named[3]! : path
  return { path, endpoint: named ? `${named[1]}/${named[2]}` : undefined, rest, oip: belowV2(rest) }
}

async function route(
  setting: DoorSetting,
  way: Way,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { gateway, version } = setting
  const { path, rest } = way
  const isGet = () => onlyMethods(request, response, 'GET', 'HEAD')
  if (rest === '/invocations') return invoke(setting, way, request, response)
  switch (path) {
    case '/health':
      isGet()
      return sendText(request, response, 200, '\n')
    case '/ping':
      isGet()
      return sendText(request, response, gateway.isServing ? 200 : 503, '\n')
    case '/version':
      isGet()
      return sendText(request, response, 200, version)
    case '/status':
      isGet()
      return sendJson(request, response, 200, await setting.status())
    default:
      throw new ScoringError(404, 'ENDPOINT_NOT_FOUND', `There is nothing at ${path}. ${waysIn(gateway)}`)
  }
}

function oipSetting(setting: DoorSetting, { endpoint }: Way) {
  const { gateway, version, maxBodyBytes, now, others } = setting
  const endpoints = endpoint === undefined ? gateway.endpoints : [endpointNamed(gateway, endpoint)]
  const repository = repositoryOf(endpoints, { serverVersion: version, byModel: endpoint !== undefined, others })
  return { repository, maxBodyBytes, now }
}

/** @throws ScoringError 404 */
function endpointNamed(gateway: Gateway, name: string | undefined): Endpoint {
  const endpoint = gateway.endpoint(name === undefined ? undefined : name.split('/').map(decoded).join('/'))
  if (endpoint) return endpoint
  const what = name === undefined ? 'A bare path needs exactly one endpoint.' : `There is no endpoint ${name}.`
  throw new ScoringError(404, 'ENDPOINT_NOT_FOUND', `${what} ${waysIn(gateway)}`)
}

async function invoke(
  setting: DoorSetting,
  way: Way,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  onlyMethods(request, response, 'POST')
  const endpoint = endpointNamed(setting.gateway, way.endpoint)
  const content = await bodyOf(request, setting.maxBodyBytes)
  const scoring = await readScoringRequest(request.headers['content-type'], content)
  const { id, body, warnings } = await endpoint.predict(scoring, hangUpSignal(response))
  const headers = { 'x-modelwright-prediction-id': id, ...warningHeader(warnings) }
  await send(request, response, 200, body, { 'content-type': 'application/json', ...headers })
}

const waysIn = (gateway: Gateway): string =>
  gateway.names.length === 0
    ? 'No endpoint is deployed.'
    : `There are: ${gateway.names.map((name) => `/endpoints/${name}/invocations`).join(', ')}.`
