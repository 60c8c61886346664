import type { IncomingMessage, ServerResponse } from 'node:http'
import { messageOf } from '../../kernel/errors.ts'
import { ScoringError } from '../scoring-error.ts'
import { discardRest, sendJson, sendText } from './http-exchange.ts'

type Told = ScoringError & { predictionId?: string }

/** What a client is to be told in its protocol's own form; undefined where its answer has begun, which then ends torn. */
export function toBeTold(
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  culprit = 'Modelwright',
): Told | undefined {
  if (response.headersSent) {
    response.destroy()
    return undefined
  }
  discardRest(request)
  const told: Told =
    error instanceof ScoringError
      ? error
      : new ScoringError(500, 'INTERNAL_ERROR', `A bug in ${culprit}: ${messageOf(error)}`)
  if (told.retryAfterSeconds !== undefined) response.setHeader('retry-after', String(told.retryAfterSeconds))
  return told
}

/** As MLflow's scoring server says it. */
export async function sendMlflowError(
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  culprit?: string,
): Promise<void> {
  const told = toBeTold(request, response, error, culprit)
  if (!told) return
  if (told.predictionId) response.setHeader('x-modelwright-prediction-id', told.predictionId)
  // MLflow's clients expect plain text here.
  if (told.status === 415) return sendText(request, response, 415, told.message)
  await sendJson(request, response, told.status, { error_code: told.errorCode, message: told.message })
}
