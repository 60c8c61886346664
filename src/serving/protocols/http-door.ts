import type { IncomingMessage, ServerResponse } from 'node:http'
import { checkHost, checkToken } from './door-checks.ts'
import { sendMlflowError } from './error-answers.ts'
import { targetOf } from './http-exchange.ts'
import { answerOip, type OipSetting, sendOipError } from './oip-http.ts'

/** What a request asks for; `oip` is what stands below `/v2` of the Open Inference Protocol. */
type Way = { path: string; oip: string | undefined }

/** The HTTP door of whoever serves models, as far as all of them are alike: who may come in, and in which form errors leave. */
type HttpDoor<AWay extends Way> = {
  /** Names that the Host header may carry beside loopback ones (against DNS rebinding); absent: any. */
  allowedHosts?: readonly string[] | undefined
  /** Needed as `Authorization: Bearer …` by all that does not only ask whether somebody is there. */
  token?: string | undefined
  /** Whose bug an unexpected error is. */
  culprit?: string
  wayOf: (path: string) => AWay
  oip: (way: AWay) => OipSetting
  /** MLflow's protocol, and whatever else there is. */
  answer: (way: AWay) => Promise<void>
}

const openPaths = new Set(['/ping', '/health', '/version', '/v2/health/live', '/v2/health/ready'])

export async function answerAtDoor<AWay extends Way>(
  door: HttpDoor<AWay>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { path, host } = targetOf(request)
  const way = door.wayOf(path)
  try {
    if (path !== '/health') checkHost(host, door.allowedHosts)
    if (!openPaths.has(path)) checkToken(request.headers.authorization, door.token)
    if (way.oip === undefined) await door.answer(way)
    else await answerOip(door.oip(way), way.oip, request, response)
  } catch (error) {
    if (way.oip === undefined) await sendMlflowError(request, response, error, door.culprit)
    else await sendOipError(request, response, error)
  }
}

/** `/v2/models` → `/models`; undefined: it does not lie below `/v2`. */
export function belowV2(path: string): string | undefined {
  if (path === '/v2') return ''
  return path.startsWith('/v2/') ? path.slice('/v2'.length) : undefined
}
