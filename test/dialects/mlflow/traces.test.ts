import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeRequest, type OtlpSpan } from '../../../src/dialects/mlflow/otlp-schema.ts'
import { eachDatabase } from '../../support/databases.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'

type Answer = { status: number; body: Record<string, never> & { error_code?: string; message?: string } }
type Headers = Record<string, string>

eachDatabase("MLflow's REST API for traces", (database) => {
  let server: MlflowServer
  let experiments = 0
  let lastTrace = 0

  beforeAll(async () => {
    server = await startMlflowServer(database)
  })
  afterAll(() => server.close())

  async function call(method: string, path: string, body?: unknown, headers: Headers = {}): Promise<Answer> {
    const response = await fetch(server.url + path, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? {} : JSON.parse(text) }
  }
  const v3 = (method: string, path: string, body?: unknown, headers: Headers = {}) =>
    call(method, `/api/3.0/mlflow/traces${path}`, body, headers)
  const v2 = (method: string, path: string, body?: unknown, headers: Headers = {}) =>
    call(method, `/api/2.0/mlflow/traces${path}`, body, headers)

  const newExperiment = () => server.tracking.createExperiment({ name: `traces ${++experiments}` })
  const newId = () => `tr-${(++lastTrace).toString(16).padStart(32, '0')}`

  async function newTrace(
    experimentId: string,
    info: Record<string, unknown> = {},
    headers: Headers = {},
  ): Promise<Answer> {
    const trace_info = {
      trace_id: newId(),
      trace_location: { type: 'MLFLOW_EXPERIMENT', mlflow_experiment: { experiment_id: experimentId } },
      request_time: '2025-10-09T08:53:20.123Z',
      execution_duration: '1.500s',
      state: 'OK',
      ...info,
    }
    return v3('POST', '', { trace: { trace_info } }, headers)
  }
  const idOf = (answer: Answer): string =>
    (answer.body as unknown as { trace: { trace_info: { trace_id: string } } }).trace.trace_info.trace_id

  const bytes = (hex: string) => Buffer.from(hex, 'hex')
  const otlpSpan = (traceId: string, span: Partial<OtlpSpan> = {}): OtlpSpan => ({
    traceId: bytes(traceId.slice(3)),
    spanId: bytes('00000000000000aa'),
    name: 'root',
    startTimeUnixNano: '1760000000000000123' as never,
    endTimeUnixNano: '1760000001000000123' as never,
    ...span,
  })
  const otlp = (spans: OtlpSpan[]) => Buffer.from(encodeRequest({ resourceSpans: [{ scopeSpans: [{ spans }] }] }))
  const send = (body: Buffer | string, headers: Headers = {}) =>
    fetch(`${server.url}/v1/traces`, {
      method: 'POST',
      body: body as never,
      headers: { 'content-type': 'application/x-protobuf', 'x-mlflow-experiment-id': '0', ...headers },
    })

  it('gives back what was told of a trace, times as protobuf writes them', async () => {
    const experimentId = await newExperiment()
    const answer = await newTrace(experimentId, {
      client_request_id: 'c',
      request_preview: 'in',
      response_preview: 'out',
      trace_metadata: { m: 'x'.repeat(300) },
      tags: { a: 'b', 'mlflow.traceName': 'n' },
    })
    const traceId = idOf(answer)
    const info = {
      trace_id: traceId,
      client_request_id: 'c',
      trace_location: { type: 'MLFLOW_EXPERIMENT', mlflow_experiment: { experiment_id: experimentId } },
      request_preview: 'in',
      response_preview: 'out',
      request_time: '2025-10-09T08:53:20.123Z',
      execution_duration: '1.500s',
      state: 'OK',
      trace_metadata: { m: 'x'.repeat(250), 'mlflow.trace.infoFinalized': 'true' },
      tags: {
        a: 'b',
        'mlflow.traceName': 'n',
        'mlflow.artifactLocation': `mlflow-artifacts:/${experimentId}/traces/${traceId}/artifacts`,
      },
    }
    expect(answer).toEqual({ status: 200, body: { trace: { trace_info: info } } })
    expect(await v3('GET', `/${traceId}`)).toEqual(answer)
    expect((await v3('POST', '/batchGetInfos', { trace_ids: [traceId, 'tr-none'] })).body).toEqual({
      trace_infos: [info],
    })
  })

  describe('answers what MLflow refuses in its form', () => {
    it.each([
      ['POST', '3.0/mlflow/traces', {}, 400, 'INVALID_PARAMETER_VALUE', "'trace'"],
      ['POST', '3.0/mlflow/traces', { trace: { trace_info: {} } }, 400, 'INVALID_PARAMETER_VALUE', 'trace_location'],
      [
        'GET',
        '3.0/mlflow/traces/tr-none',
        undefined,
        404,
        'RESOURCE_DOES_NOT_EXIST',
        "Trace with ID 'tr-none' not found",
      ],
      ['GET', '3.0/mlflow/traces/get?trace_id=tr-none', undefined, 404, 'RESOURCE_DOES_NOT_EXIST', 'not found'],
      ['GET', '3.0/mlflow/traces/get', undefined, 400, 'INVALID_PARAMETER_VALUE', "'trace_id'"],
      ['POST', '3.0/mlflow/traces/search', {}, 400, 'INVALID_PARAMETER_VALUE', "'locations'"],
      ['POST', '3.0/mlflow/traces/search', { locations: [], max_results: 501 }, 400, 'INVALID_PARAMETER_VALUE', '501'],
      [
        'POST',
        '3.0/mlflow/traces/search',
        { locations: [], max_results: 0 },
        400,
        'INVALID_PARAMETER_VALUE',
        'positive integer',
      ],
      [
        'POST',
        '3.0/mlflow/traces/search',
        { locations: [], filter: 'x =' },
        400,
        'INVALID_PARAMETER_VALUE',
        'attribute key',
      ],
      [
        'POST',
        '3.0/mlflow/traces/search',
        { locations: [], page_token: 'zzz' },
        400,
        'INVALID_PARAMETER_VALUE',
        'page token',
      ],
      [
        'PATCH',
        '3.0/mlflow/traces/tr-none/tags',
        { key: 'a', value: 'b' },
        404,
        'RESOURCE_DOES_NOT_EXIST',
        'not found',
      ],
      [
        'PATCH',
        '2.0/mlflow/traces/x/tags',
        { key: 'mlflow.trace.spansLocation' },
        400,
        'INVALID_PARAMETER_VALUE',
        'immutable',
      ],
      [
        'POST',
        '2.0/mlflow/traces/delete-traces',
        { experiment_id: '0' },
        400,
        'INVALID_PARAMETER_VALUE',
        'must be specified',
      ],
      [
        'POST',
        '2.0/mlflow/traces/link-to-run',
        { trace_ids: ['a'], run_id: 'no' },
        404,
        'RESOURCE_DOES_NOT_EXIST',
        'Run with id=no',
      ],
      [
        'POST',
        '2.0/mlflow/traces/link-to-run',
        { trace_ids: Array(101).fill('a'), run_id: 'no' },
        400,
        'INVALID_PARAMETER_VALUE',
        'more than 100',
      ],
      [
        'POST',
        '3.0/mlflow/traces/tr-none/assessments',
        { assessment: { feedback: {} } },
        404,
        'RESOURCE_DOES_NOT_EXIST',
        'not found',
      ],
      [
        'POST',
        '3.0/mlflow/traces/tr-none/assessments',
        { assessment: {} },
        400,
        'INVALID_PARAMETER_VALUE',
        'Unknown assessment type',
      ],
      [
        'POST',
        '3.0/mlflow/traces/metrics',
        {
          experiment_ids: ['0'],
          view_type: 'TRACES',
          metric_name: 'latency',
          aggregations: [{ aggregation_type: 'PERCENTILE' }],
        },
        400,
        'INVALID_PARAMETER_VALUE',
        'Percentile value is required',
      ],
      ['GET', '2.0/mlflow/unified-traces', undefined, 501, 'NOT_IMPLEMENTED', 'not supported'],
      ['GET', '2.0/mlflow/get-online-trace-details', undefined, 501, 'NOT_IMPLEMENTED', 'not supported'],
      ['GET', '3.0/mlflow/get-trace-artifact', undefined, 400, 'BAD_REQUEST', '"request_id"'],
    ])('%s %s %j', async (method, path, body, status, code, words) => {
      const answer = await call(method, `/api/${path}`, body)
      expect(answer).toMatchObject({ status, body: { error_code: code } })
      expect(answer.body.message).toContain(words)
    })
  })

  describe('OTLP', () => {
    it('keeps what each attribute is: 1 is no 1.0, and 64 bits are 64', async () => {
      const traceId = newId()
      const attributes = [
        { key: 'whole', value: { intValue: '9007199254740993' as never } },
        { key: 'float', value: { doubleValue: 1 } },
        { key: 'nan', value: { doubleValue: Number.NaN } },
        { key: 'flag', value: { boolValue: false } },
        { key: 'text', value: { stringValue: 'ünï' } },
        { key: 'list', value: { arrayValue: { values: [{ intValue: 1 as never }, { doubleValue: 0.5 }] } } },
        { key: 'object', value: { kvlistValue: { values: [{ key: 'a', value: { stringValue: '' } }] } } },
      ]
      const response = await send(
        otlp([
          otlpSpan(traceId, {
            attributes,
            status: { code: 2, message: 'boom' },
            links: [{ traceId: bytes('01'.repeat(16)), spanId: bytes('02'.repeat(8)) }],
          }),
        ]),
      )
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/x-protobuf'])
      const text = await (await fetch(`${server.url}/api/3.0/mlflow/traces/get?trace_id=${traceId}`)).text()
      expect(text).toContain('"start_time_unix_nano": 1760000000000000123')
      expect(text).toContain('{"int_value": 9007199254740993}')
      expect(text).toContain('{"double_value": 1.0}')
      const [span] = JSON.parse(text).trace.spans
      expect(span).toMatchObject({
        trace_id: bytes(traceId.slice(3)).toString('base64'),
        status: { code: 'STATUS_CODE_ERROR', message: 'boom' },
        links: [{ trace_id: Buffer.from('01'.repeat(16), 'hex').toString('base64') }],
      })
      const values = Object.fromEntries(
        span.attributes.map((item: { key: string; value: unknown }) => [item.key, item.value]),
      )
      expect(values).toMatchObject({
        nan: { double_value: 'NaN' },
        flag: { bool_value: false },
        text: { string_value: 'ünï' },
        list: { array_value: { values: [{ int_value: 1 }, { double_value: 0.5 }] } },
        object: { kvlist_value: { values: [{ key: 'a', value: { string_value: '' } }] } },
        'mlflow.traceRequestId': { string_value: traceId },
      })
    })

    it('is read as JSON with ids in hex, zipped or not', async () => {
      const traceId = newId()
      const body = JSON.stringify({
        resourceSpans: [
          {
            resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
            scopeSpans: [
              {
                spans: [
                  {
                    traceId: traceId.slice(3).toUpperCase(),
                    spanId: '00000000000000AB',
                    name: 'json',
                    startTimeUnixNano: '1760000000000000000',
                    endTimeUnixNano: '1760000000500000000',
                    attributes: [
                      { key: 'gen_ai.operation.name', value: { stringValue: 'chat' } },
                      { key: 'gen_ai.usage.input_tokens', value: { intValue: '12' } },
                      { key: 'gen_ai.usage.output_tokens', value: { intValue: 3 } },
                    ],
                    status: { code: 'STATUS_CODE_OK' },
                  },
                ],
              },
            ],
          },
        ],
      })
      const headers = { 'content-type': 'application/json; charset=utf-8', 'content-encoding': 'gzip' }
      const response = await send(gzipSync(body), headers)
      expect([response.status, await response.text()]).toEqual([200, '{}'])
      const info = await server.traces.info(traceId)
      expect(info).toMatchObject({ state: 'OK', durationMs: 500, tags: { 'service.name': 'shop' } })
      expect(JSON.parse(info.metadata['mlflow.trace.tokenUsage']!)).toEqual({
        input_tokens: 12,
        output_tokens: 3,
        total_tokens: 15,
      })
      const { spans } = await server.traces.whole(traceId, { partial: false })
      expect(JSON.parse(spans[0]!).attributes['mlflow.spanType']).toBe('"CHAT_MODEL"')
    })

    it.each([
      ['no experiment', otlp([]), { 'x-mlflow-experiment-id': '' }, 422, 'Field required'],
      ['another type', otlp([]), { 'content-type': 'text/plain' }, 400, 'Invalid Content-Type: text/plain'],
      ['no spans', otlp([]).subarray(0, 0), {}, 400, 'no spans found'],
      ['what is no message', Buffer.from('nonsense'), {}, 400, 'Invalid OpenTelemetry format'],
      [
        'what is no JSON',
        Buffer.from('{"resourceSpans": ['),
        { 'content-type': 'application/json' },
        400,
        'Invalid OpenTelemetry format',
      ],
      ['what is not zipped', Buffer.from('nonsense'), { 'content-encoding': 'gzip' }, 400, 'Failed to decompress gzip'],
      ['an unknown coding', otlp([]), { 'content-encoding': 'br' }, 400, 'Unsupported Content-Encoding: br'],
      ['a span without an id', otlp([{ name: 'x' }]), {}, 422, 'Cannot convert'],
    ])('refuses %s', async (_, body, headers, status, words) => {
      const response = await send(body, headers as Headers)
      expect(response.status).toBe(status)
      expect(JSON.stringify(((await response.json()) as { detail: unknown }).detail)).toContain(words)
    })

    it('of an experiment that is not there leaves in the form of MLflow', async () => {
      const response = await send(otlp([otlpSpan(newId())]), { 'x-mlflow-experiment-id': '999' })
      expect(response.status).toBe(404)
      expect(await response.json()).toMatchObject({ error_code: 'RESOURCE_DOES_NOT_EXIST' })
    })

    it('links what ended to the run that the header names', async () => {
      const run = await call('POST', '/api/2.0/mlflow/runs/create', { experiment_id: '0' })
      const runId = (run.body as unknown as { run: { info: { run_id: string } } }).run.info.run_id
      const traceId = newId()
      await send(otlp([otlpSpan(traceId)]), { 'x-mlflow-run-id': runId })
      const { items } = await server.traces.search({ experimentIds: ['0'], filter: `run_id = '${runId}'`, limit: 10 })
      expect(items.map((info) => info.traceId)).toEqual([traceId])
    })

    it('of 20 MB is taken whole while small requests are answered', async () => {
      const traceId = newId()
      const text = 'x'.repeat(20_000)
      const spans = Array.from({ length: 1000 }, (_, index) =>
        otlpSpan(traceId, {
          spanId: bytes((index + 1).toString(16).padStart(16, '0')),
          ...(index === 0 ? {} : { parentSpanId: bytes('0000000000000001') }),
          attributes: [{ key: 'mlflow.spanInputs', value: { stringValue: text } }],
        }),
      )
      const zipped = gzipSync(otlp(spans), { level: 1 })
      let sending = true
      const sent = send(zipped, { 'content-encoding': 'gzip' }).finally(() => {
        sending = false
      })
      let answered = 0
      while (sending) {
        expect((await fetch(`${server.url}/version`)).status).toBe(200)
        answered++
      }
      expect((await sent).status).toBe(200)
      expect(answered).toBeGreaterThan(3)
      expect(await server.traces.spanContents(traceId)).toHaveLength(1000)
    })
  })

  it('gives a trace as a file at both spellings', async () => {
    const traceId = newId()
    await send(otlp([otlpSpan(traceId)]))
    for (const root of ['/ajax-api/2.0', '/ajax-api/3.0']) {
      const response = await fetch(`${server.url}${root}/mlflow/get-trace-artifact?request_id=${traceId}`)
      expect(response.headers.get('content-disposition')).toContain('traces.json')
      expect(((await response.json()) as { spans: { name: string }[] }).spans.map((span) => span.name)).toEqual([
        'root',
      ])
    }
  })

  it('gives files that a client put beside a trace, and nothing above them', async () => {
    const traceId = idOf(await newTrace('0'))
    const file = (path: string) =>
      fetch(`${server.url}/ajax-api/3.0/mlflow/get-trace-artifact?request_id=${traceId}${path}`)
    expect((await file('')).status).toBe(404)
    await fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts/0/traces/${traceId}/artifacts/traces.json`, {
      method: 'PUT',
      body: '{"spans": []}',
    })
    expect(await (await file('')).text()).toBe('{"spans": []}')
    expect((await file('&path=../traces.json')).status).toBe(400)
    expect((await file('&path=none.png')).status).toBe(404)
  })

  it('keeps to the deprecated way of beginning and ending a trace', async () => {
    const experimentId = await newExperiment()
    const begun = await v2('POST', '', {
      experiment_id: experimentId,
      timestamp_ms: 1000,
      request_metadata: [{ key: 'm', value: '1' }],
      tags: [{ key: 'mlflow.traceName', value: 'old' }],
    })
    const { request_id } = (begun.body as unknown as { trace_info: { request_id: string } }).trace_info
    expect(begun.body).toMatchObject({
      trace_info: { status: 'IN_PROGRESS', timestamp_ms: 1000, execution_time_ms: 0 },
    })
    await v2('PATCH', `/${request_id}`, { timestamp_ms: 1500, status: 'OK', tags: [{ key: 't', value: '2' }] })
    const { body } = await v2('GET', `/${request_id}/info`)
    expect(body).toMatchObject({ trace_info: { status: 'OK', execution_time_ms: 500, experiment_id: experimentId } })
    const info = (body as unknown as { trace_info: { tags: unknown; request_metadata: unknown } }).trace_info
    expect(info.tags).toContainEqual({ key: 'mlflow.traceName', value: 'old' })
    expect(info.tags).toContainEqual({ key: 't', value: '2' })
    expect(info.request_metadata).toEqual([{ key: 'm', value: '1' }])
    const search = await v2('GET', `?experiment_ids=${experimentId}&filter=${encodeURIComponent("name = 'old'")}`)
    expect((search.body as unknown as { traces: unknown[] }).traces).toHaveLength(1)
  })

  it('keeps assessments as they were sent, and changes what the mask names', async () => {
    const traceId = idOf(await newTrace('0'))
    const source = { source_type: 'HUMAN', source_id: 'ann' }
    const made = await v3('POST', `/${traceId}/assessments`, {
      assessment: {
        assessment_name: 'q',
        source,
        feedback: { value: 3, error: { error_code: 'E', error_message: 'm' } },
        rationale: 'r',
        metadata: { k: 'v' },
        create_time: '2025-10-09T08:53:20Z',
      },
    })
    const { assessment } = made.body as unknown as { assessment: { assessment_id: string } }
    expect(assessment).toMatchObject({
      assessment_name: 'q',
      trace_id: traceId,
      source,
      feedback: { value: 3, error: { error_code: 'E', error_message: 'm' } },
      rationale: 'r',
      metadata: { k: 'v' },
      create_time: '2025-10-09T08:53:20Z',
      valid: true,
    })
    const changed = await v3('PATCH', `/${traceId}/assessments/${assessment.assessment_id}`, {
      assessment: { assessment_name: 'ignored', feedback: { value: 'yes' }, rationale: 'better' },
      update_mask: 'feedback,rationale',
    })
    expect(changed.body).toMatchObject({
      assessment: { assessment_name: 'q', feedback: { value: 'yes' }, rationale: 'better' },
    })
    const expected = await v3('POST', `/${traceId}/assessments`, {
      assessment: {
        assessment_name: 'want',
        source,
        expectation: { serialized_value: { serialization_format: 'JSON_FORMAT', value: '[1, 2.0]' } },
      },
    })
    expect(expected.body).toMatchObject({
      assessment: { expectation: { serialized_value: { serialization_format: 'JSON_FORMAT', value: '[1, 2.0]' } } },
    })
    expect((await v3('DELETE', `/${traceId}/assessments/${assessment.assessment_id}`)).status).toBe(200)
    expect((await v3('GET', `/${traceId}/assessments/${assessment.assessment_id}`)).status).toBe(404)
  })

  it('answers questions about many traces', async () => {
    const experimentId = await newExperiment()
    await newTrace(experimentId, { tags: { team: 'red' } })
    await newTrace(experimentId, { state: 'ERROR' })
    const correlation = await v3('POST', '/calculate-filter-correlation', {
      experiment_ids: [experimentId],
      filter_string1: "tags.team = 'red'",
      filter_string2: "tags.team = 'blue'",
    })
    expect(correlation.body).toEqual({
      filter1_count: 1,
      filter2_count: 0,
      joint_count: 0,
      total_count: 2,
    })
    const metrics = await v3('POST', '/metrics', {
      experiment_ids: [experimentId],
      view_type: 1,
      metric_name: 'trace_count',
      aggregations: [{ aggregation_type: 'COUNT' }],
      dimensions: ['trace_status'],
    })
    expect(metrics.body).toEqual({
      data_points: ['ERROR', 'OK'].map((status) => ({
        metric_name: 'trace_count',
        dimensions: { trace_status: status },
        values: { COUNT: 1 },
      })),
    })
  })

  describe("a step's token", () => {
    let own: string
    let foreign: string
    let asStep: Headers

    beforeAll(async () => {
      own = await newExperiment()
      foreign = await newExperiment()
      const run = await call('POST', '/api/2.0/mlflow/runs/create', { experiment_id: own })
      const runId = (run.body as unknown as { run: { info: { run_id: string } } }).run.info.run_id
      asStep = { authorization: `Bearer ${server.stepToken(runId)}` }
    })

    it("writes traces of its own run's experiment", async () => {
      const made = await newTrace(own, {}, asStep)
      expect(made.status).toBe(200)
      expect((await v3('PATCH', `/${idOf(made)}/tags`, { key: 'a', value: 'b' }, asStep)).status).toBe(200)
      expect((await send(otlp([otlpSpan(idOf(made))]), { 'x-mlflow-experiment-id': own, ...asStep })).status).toBe(200)
    })

    it('reads those of others, and writes none of them', async () => {
      const traceId = idOf(await newTrace(foreign))
      expect((await v3('GET', `/${traceId}`, undefined, asStep)).status).toBe(200)
      const refused = [
        newTrace(foreign, {}, asStep),
        newTrace(own, { trace_id: traceId }, asStep),
        v3('PATCH', `/${traceId}/tags`, { key: 'a', value: 'b' }, asStep),
        v2('DELETE', `/${traceId}/tags`, { key: 'a' }, asStep),
        v3('POST', `/${traceId}/assessments`, { assessment: { feedback: { value: 1 } } }, asStep),
        v2('POST', '/delete-traces', { experiment_id: foreign, request_ids: [traceId] }, asStep),
        v2('PATCH', `/${traceId}`, { timestamp_ms: 1, status: 'OK' }, asStep),
        v2('POST', '/link-prompts', { trace_id: traceId, prompt_versions: [{ name: 'p', version: '1' }] }, asStep),
      ]
      for (const answer of await Promise.all(refused))
        expect(answer).toMatchObject({ status: 403, body: { error_code: 'PERMISSION_DENIED' } })
      for (const experiment of [foreign, own]) {
        const response = await send(otlp([otlpSpan(traceId)]), { 'x-mlflow-experiment-id': experiment, ...asStep })
        expect(response.status).toBe(403)
      }
    })
  })
})
