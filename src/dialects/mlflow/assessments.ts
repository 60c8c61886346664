import type { FastifyInstance } from 'fastify'
import type { AssessmentChange } from '../../traces/index.ts'
import { nested, pathParam, readMessage, required } from './message.ts'
import { type MlflowParts, mount } from './parts.ts'
import type { TraceAccess } from './trace-access.ts'
import {
  type AssessmentMessage,
  assessmentFields,
  assessmentFrom,
  expectedJson,
  feedbackFrom,
  fieldMask,
} from './trace-messages.ts'
import { assessmentWire } from './trace-wire.ts'

const all = '/3.0/mlflow/traces/:trace_id/assessments'
const one = `${all}/:assessment_id`

export function mountAssessments(app: FastifyInstance, { traces }: MlflowParts, access: TraceAccess): void {
  mount(app, 'POST', all, async (request) => {
    const { assessment } = readMessage(request, { assessment: required(nested('assessment', assessmentFields)) })
    const traceId = pathParam(request, 'trace_id')
    await access.toTrace(request.actor, traceId, 'update')
    const created = await traces.createAssessment(assessmentFrom(assessment ?? {}, traceId))
    return { assessment: assessmentWire(created) }
  })

  mount(app, 'GET', one, async (request) => {
    const traceId = pathParam(request, 'trace_id')
    await access.toTrace(request.actor, traceId, 'read')
    return { assessment: assessmentWire(await traces.assessment(traceId, pathParam(request, 'assessment_id'))) }
  })

  mount(app, 'PATCH', one, async (request) => {
    const { assessment, update_mask } = readMessage(request, {
      assessment: required(nested('assessment', assessmentFields)),
      update_mask: required(fieldMask),
    })
    const traceId = pathParam(request, 'trace_id')
    await access.toTrace(request.actor, traceId, 'update')
    const change = changeFrom(assessment ?? {}, update_mask ?? [])
    const updated = await traces.updateAssessment(traceId, pathParam(request, 'assessment_id'), change)
    return { assessment: assessmentWire(updated) }
  })

  mount(app, 'DELETE', one, async (request) => {
    const traceId = pathParam(request, 'trace_id')
    await access.toTrace(request.actor, traceId, 'update')
    await traces.deleteAssessment(traceId, pathParam(request, 'assessment_id'))
    return {}
  })
}

/** Only the fields that the mask names; what it names and the message leaves out is emptied. */
function changeFrom(message: AssessmentMessage, mask: readonly string[]): AssessmentChange {
  const asked = new Set(mask)
  return {
    ...(asked.has('assessment_name') ? { name: message.assessment_name ?? '' } : {}),
    ...(asked.has('expectation') ? { expectation: { value: expectedJson(message.expectation) } } : {}),
    ...(asked.has('feedback') ? { feedback: feedbackFrom(message.feedback) } : {}),
    ...(asked.has('rationale') ? { rationale: message.rationale ?? '' } : {}),
    ...(asked.has('metadata') ? { metadata: message.metadata ?? {} } : {}),
    ...(asked.has('valid') ? { valid: message.valid ?? false } : {}),
  }
}
