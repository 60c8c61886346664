import type { FastifyInstance } from 'fastify'
import type { LabelInput, LabelSchema } from '../../evaluations/index.ts'
import { invalid } from '../../tracking/index.ts'
import type { MlflowAccess } from './access.ts'
import { double, flag, integer, nested, oneOf, orZero, readMessage, required, seeDocs, text, texts } from './message.ts'
import { type MlflowParts, mount } from './parts.ts'

const root = '/3.0/mlflow/label-schemas'

export function mountLabelSchemas(app: FastifyInstance, parts: MlflowParts, access: MlflowAccess): void {
  mountReading(app, parts)
  mountWriting(app, parts, access)
}

function mountReading(app: FastifyInstance, { evaluations }: MlflowParts): void {
  mount(app, 'GET', `${root}/get`, async (request) => {
    const { schema_id } = readMessage(request, { schema_id: required(text) })
    return { label_schema: schemaWire(await evaluations.labelSchema(schema_id)) }
  })

  mount(app, 'GET', `${root}/get-by-name`, async (request) => {
    const { experiment_id, name } = readMessage(request, { experiment_id: required(text), name: required(text) })
    return { label_schema: schemaWire(await evaluations.labelSchemaNamed(experiment_id, name)) }
  })

  mount(app, 'GET', `${root}/list`, async (request) => {
    const { experiment_id, max_results, page_token } = readMessage(request, {
      experiment_id: required(text),
      max_results: integer,
      page_token: text,
    })
    const limit = max_results ?? 100
    if (limit < 1 || limit > 50_000) throw invalid(`max_results must be between 1 and 50000.${seeDocs}`)
    const page = { limit, pageToken: page_token }
    const { items, nextPageToken } = await evaluations.labelSchemas(experiment_id, page)
    return { label_schemas: items.map(schemaWire), next_page_token: nextPageToken ?? '' }
  })
}

function mountWriting(app: FastifyInstance, { evaluations }: MlflowParts, access: MlflowAccess): void {
  mount(app, 'POST', `${root}/create`, async (request) => {
    const asked = readMessage(request, {
      experiment_id: required(text),
      name: required(text),
      type: schemaType,
      instruction: text,
      enable_comment: flag,
      input: inputMessage,
    })
    if (asked.type !== 'FEEDBACK' && asked.type !== 'EXPECTATION')
      throw invalid('Label schema `type` must be one of FEEDBACK or EXPECTATION; got proto enum value 0.')
    const schema = await evaluations.createLabelSchema({
      experimentId: asked.experiment_id,
      name: asked.name,
      type: asked.type === 'FEEDBACK' ? 'feedback' : 'expectation',
      input: inputFrom(asked.input ?? {}),
      instruction: asked.instruction,
      enableComment: asked.enable_comment,
    })
    return { label_schema: schemaWire(schema) }
  })

  mount(app, 'PATCH', `${root}/update`, async (request) => {
    const asked = readMessage(request, {
      schema_id: required(text),
      name: text,
      instruction: text,
      enable_comment: flag,
      input: inputMessage,
    })
    access.toShared(request.actor, `change label schema ${asked.schema_id}`)
    const schema = await evaluations.updateLabelSchema(asked.schema_id, {
      name: asked.name,
      instruction: asked.instruction,
      enableComment: asked.enable_comment,
      ...(asked.input === undefined ? {} : { input: inputFrom(asked.input) }),
    })
    return { label_schema: schemaWire(schema) }
  })

  mount(app, 'DELETE', `${root}/delete`, async (request) => {
    const { schema_id } = readMessage(request, { schema_id: required(text) })
    access.toShared(request.actor, `delete label schema ${schema_id}`)
    await evaluations.deleteLabelSchema(schema_id)
    return {}
  })
}

const schemaType = oneOf({ 0: 'LABEL_SCHEMA_TYPE_UNSPECIFIED', 1: 'FEEDBACK', 2: 'EXPECTATION' } as const)

const inputMessage = nested('input', {
  pass_fail: nested('pass_fail', { positive_label: orZero(text), negative_label: orZero(text) }),
  categorical: nested('categorical', { options: orZero(texts), multi_select: orZero(flag) }),
  numeric: nested('numeric', { min_value: double, max_value: double }),
  text: nested('text', { max_length: integer }),
})

type InputMessage = {
  pass_fail?: { positive_label: string | undefined; negative_label: string | undefined }
  categorical?: { options: string[] | undefined; multi_select: boolean | undefined }
  numeric?: { min_value: number | undefined; max_value: number | undefined }
  text?: { max_length: number | undefined }
}

/** One of four, of which the last one that is there counts, as in a protobuf's oneof. */
function inputFrom({ pass_fail, categorical, numeric, text }: InputMessage): LabelInput {
  if (text) return { kind: 'text', maxLength: text.max_length }
  if (numeric) return { kind: 'numeric', minValue: numeric.min_value, maxValue: numeric.max_value }
  if (categorical)
    return { kind: 'categorical', options: categorical.options ?? [], multiSelect: categorical.multi_select ?? false }
  if (pass_fail)
    return {
      kind: 'pass_fail',
      positiveLabel: pass_fail.positive_label ?? '',
      negativeLabel: pass_fail.negative_label ?? '',
    }
  throw invalid(
    'Label schema `input` must have exactly one of `pass_fail`, `categorical`, `numeric`, or `text` set; got an empty oneof.',
  )
}

const schemaWire = (schema: LabelSchema) => ({
  schema_id: schema.schemaId,
  experiment_id: schema.experimentId,
  name: schema.name,
  type: schema.type === 'feedback' ? 'FEEDBACK' : 'EXPECTATION',
  ...(schema.instruction === undefined ? {} : { instruction: schema.instruction }),
  enable_comment: schema.enableComment,
  input: inputWire(schema.input),
  ...(schema.createdBy === undefined ? {} : { created_by: schema.createdBy }),
  created_at: schema.createdAt,
  last_updated_at: schema.updatedAt,
  is_default: schema.isDefault,
})

function inputWire(input: LabelInput) {
  switch (input.kind) {
    case 'pass_fail':
      return { pass_fail: { positive_label: input.positiveLabel, negative_label: input.negativeLabel } }
    case 'categorical':
      return { categorical: { options: input.options, multi_select: input.multiSelect } }
    case 'numeric':
      return { numeric: { min_value: input.minValue, max_value: input.maxValue } }
    case 'text':
      return { text: { max_length: input.maxLength } }
  }
}
