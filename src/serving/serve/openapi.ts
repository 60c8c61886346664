import type { ModelFacts, TensorFacts } from '../models/model-facts.ts'
import type { ServedName } from '../protocols/model-repository.ts'
import { exampleInference, exampleScoring } from './example-request.ts'

/** OpenAPI 3.1 of one model's door, with the model's own signature and a request that can be sent as it stands. */
export function openApiOf(model: ServedName, inputExample: unknown): object {
  const { name, version, facts } = model
  return {
    openapi: '3.1.0',
    info: { title: name, version, description: `Model ${name}, version ${version}, served by Modelwright.` },
    paths: {
      '/invocations': { post: invocations(facts, inputExample ?? exampleScoring(facts)) },
      [`/v2/models/${encodeURIComponent(name)}/infer`]: { post: infer(facts) },
      [`/v2/models/${encodeURIComponent(name)}`]: { get: read('The tensors that the model takes and gives') },
      [`/v2/models/${encodeURIComponent(name)}/ready`]: { get: read('Whether the model is loaded and warmed') },
      [`/v2/models/${encodeURIComponent(name)}/stats`]: { get: read('What was answered so far') },
      '/v2': { get: read('The server and the extensions it carries out') },
      '/v2/health/live': { get: read('Whether the server answers') },
      '/v2/health/ready': { get: read('Whether the model is ready') },
      '/v2/repository/index': { post: read('The models of this server') },
      '/ping': { get: read('200 when predictions are answered', 'text/plain') },
      '/version': { get: read('The version of mlflow', 'text/plain') },
    },
  }
}

const explain = { type: 'boolean', description: 'Answer also what each feature contributed' }

const read = (summary: string, type = 'application/json') => ({
  summary,
  responses: { 200: { description: summary, content: { [type]: {} } } },
})

function invocations(facts: ModelFacts, example: unknown) {
  return {
    summary: "Predict, in MLflow's scoring protocol",
    requestBody: {
      required: true,
      content: {
        'application/json': { schema: scoringSchema(facts), example },
        'text/csv': { schema: { type: 'string', description: 'A table with a header line' } },
        'application/vnd.apache.parquet': { schema: { type: 'string', format: 'binary' } },
      },
    },
    responses: {
      200: json({ type: 'object', properties: { predictions: {} }, required: ['predictions'] }, 'The predictions'),
      ...failures({ type: 'object', properties: { error_code: { type: 'string' }, message: { type: 'string' } } }),
    },
  }
}

function infer(facts: ModelFacts) {
  return {
    summary: 'Predict, in the Open Inference Protocol',
    requestBody: {
      required: true,
      content: {
        'application/json': {
          schema: {
            type: 'object',
            required: ['inputs'],
            properties: {
              id: { type: 'string' },
              parameters: { type: 'object', properties: { explain } },
              inputs: { type: 'array', items: tensorSchema(facts) },
            },
          },
          example: exampleInference(facts),
        },
      },
    },
    responses: {
      200: json(
        { type: 'object', properties: { outputs: { type: 'array', items: { type: 'object' } } } },
        'The outputs',
      ),
      ...failures({ type: 'object', properties: { error: { type: 'string' } } }),
    },
  }
}

const json = (schema: object, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

const failures = (schema: object) => ({
  400: json(schema, 'The request is malformed, or does not suit the model'),
  503: json(schema, 'Not ready, or too many requests wait; Retry-After says when to come back'),
  504: json(schema, 'It took too long'),
})

const tensorSchema = ({ inputs }: ModelFacts) => ({
  type: 'object',
  required: ['name', 'shape', 'datatype', 'data'],
  properties: {
    name: { type: 'string', ...(inputs.length > 0 ? { enum: inputs.map(({ name }) => name) } : {}) },
    shape: { type: 'array', items: { type: 'integer', minimum: 0 } },
    datatype: { type: 'string' },
    data: { type: 'array' },
  },
})

function scoringSchema({ signature, inputs }: ModelFacts) {
  if (signature !== 'columns')
    return {
      type: 'object',
      description: 'One of inputs, instances, dataframe_split, dataframe_records',
      properties: { explain },
    }
  return {
    type: 'object',
    properties: {
      dataframe_records: {
        type: 'array',
        items: {
          type: 'object',
          required: inputs.filter(({ required }) => required).map(({ name }) => name),
          properties: Object.fromEntries(inputs.map((one) => [one.name, columnSchema(one)])),
        },
      },
      explain,
      dataframe_split: {
        type: 'object',
        required: ['columns', 'data'],
        properties: { columns: { type: 'array', items: { type: 'string' } }, data: { type: 'array' } },
      },
    },
  }
}

const jsonTypes: Record<string, object> = {
  boolean: { type: 'boolean' },
  integer: { type: 'integer' },
  long: { type: 'integer' },
  float: { type: 'number' },
  double: { type: 'number' },
  string: { type: 'string' },
  binary: { type: 'string', contentEncoding: 'base64' },
  datetime: { type: 'string', format: 'date-time' },
}

const columnSchema = ({ columnType }: TensorFacts): object => jsonTypes[columnType ?? ''] ?? {}
