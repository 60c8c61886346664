import { type Digest, isDigest } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import { type Endpoint, endpoint } from '../kernel/route.ts'
import type { Erasure } from './decide/erased.ts'
import { decodePredictionId } from './prediction-id.ts'
import type { PredictionLog } from './prediction-log.ts'
import { erasePredictions, getPrediction, listErasures, listPredictions } from './predictions-contract.ts'

export function predictionEndpoints(predictions: PredictionLog): Endpoint[] {
  return [
    endpoint(getPrediction, async ({ params }) => {
      const decoded = decodePredictionId(params.id)
      if (!decoded)
        throw new AppError(
          'NotFound',
          `"${params.id}" is no prediction id.`,
          "Take the id from the answer's header X-Modelwright-Prediction-Id.",
        )
      const { at, version, digestPrefix } = decoded
      const record = await predictions.find(params.id)
      return { decoded: { at, version, digestPrefix }, ...(record ? { record } : {}) }
    }),
    endpoint(listPredictions, async ({ params, query }) => {
      const { fromMs = 0, toMs = Number.MAX_SAFE_INTEGER, limit } = query
      const items = await predictions.rows({ ...params, fromMs, toMs, limit, ...digestOf(query.digest) })
      return { items }
    }),
    endpoint(erasePredictions, async ({ params, body, actor }) => {
      const { subject, environment, column } = body
      const asked = { ...params, subject, actor: actor.name }
      return told(
        await predictions.erase({
          ...asked,
          ...(environment === undefined ? {} : { environment }),
          ...(column === undefined ? {} : { column }),
        }),
      )
    }),
    endpoint(listErasures, async ({ params, query }) => ({
      items: (await predictions.erasures(params.project, query.limit)).map(told),
    })),
  ]
}

function digestOf(text: string | undefined): { digest?: Digest } {
  if (text === undefined) return {}
  if (isDigest(text)) return { digest: text }
  throw new AppError('BadRequest', `"${text}" is no digest.`, 'A digest is sha256: and 64 hex digits.')
}

const told = ({ stage, ...erasure }: Erasure) => ({ ...erasure, isDone: stage === 'done' })
