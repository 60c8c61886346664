import { afterAll, beforeAll, expect, it } from 'vitest'
import { eachDatabase } from '../../support/databases.ts'
import { PythonSession, testPython } from '../../support/python.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'

const python = testPython()

eachDatabase('the real mlflow client, tracing', (database) => {
  if (!python) return it.skip('needs MODELWRIGHT_TEST_PYTHON')
  let server: MlflowServer
  let session: PythonSession

  beforeAll(async () => {
    server = await startMlflowServer(database)
    session = new PythonSession(python, {
      MLFLOW_TRACKING_URI: server.url,
    })
    await session.run(`
      import time, uuid
      import mlflow
      from mlflow import MlflowClient
      from mlflow.entities import AssessmentSource, Expectation, Feedback, SpanEvent
      client = MlflowClient()
      def experiment():
          return mlflow.set_experiment('tracing ' + uuid.uuid4().hex).experiment_id
      def last():
          mlflow.flush_trace_async_logging()
          return mlflow.get_last_active_trace_id()
      def traced(name='ask', **tags):
          with mlflow.start_span(name) as span:
              span.set_inputs({'question': 'why'})
              if tags: mlflow.update_current_trace(tags=tags)
          return span.trace_id
      def count(where, **more):
          return len(client.search_traces(locations=[exp], filter_string=where, **more))
    `)
  })
  afterAll(async () => {
    await session?.end()
    await server?.close()
  })

  it('reads back a decorated function with nested spans, events, types, tokens and previews', async () => {
    const trace = await session.run<Record<string, unknown>>(`
      exp = experiment()
      @mlflow.trace(name='outer', span_type='CHAIN', attributes={'whole': 1, 'float': 1.0, 'text': 'ünï'})
      def outer(x):
          with mlflow.start_span('inner', span_type='CHAT_MODEL') as span:
              span.set_inputs({'messages': [{'role': 'user', 'content': 'hi'}]})
              span.set_outputs([1, 2.5, None, {'a': True}])
              span.add_event(SpanEvent('chunk', attributes={'n': 1}))
              span.set_attribute('mlflow.chat.tokenUsage', {'input_tokens': 3, 'output_tokens': 4, 'total_tokens': 7})
          mlflow.update_current_trace(tags={'team': 'red'}, metadata={'mlflow.trace.session': 's1'})
          return x + 1
      outer(41)
      trace = mlflow.get_trace(last())
      root, inner = trace.data.spans
      result = {
          'state': str(trace.info.state), 'tags': trace.info.tags, 'usage': trace.info.token_usage,
          'session': trace.info.trace_metadata['mlflow.trace.session'],
          'previews': [trace.info.request_preview, trace.info.response_preview],
          'root': [root.name, root.span_type, root.inputs, root.outputs, root.parent_id],
          'types': [type(root.attributes[k]).__name__ for k in ('whole', 'float')], 'text': root.attributes['text'],
          'inner': [inner.name, inner.span_type, inner.inputs, inner.outputs, inner.parent_id == root.span_id],
          'event': [inner.events[0].name, inner.events[0].attributes],
          'times': root.end_time_ns > inner.end_time_ns > inner.start_time_ns > root.start_time_ns,
      }
    `)
    expect(trace).toMatchObject({
      state: 'OK',
      tags: { team: 'red', 'mlflow.traceName': 'outer', 'mlflow.trace.spansLocation': 'TRACKING_STORE' },
      usage: { input_tokens: 3, output_tokens: 4, total_tokens: 7 },
      session: 's1',
      previews: ['{"x": 41}', '42'],
      root: ['outer', 'CHAIN', { x: 41 }, 42, null],
      types: ['int', 'float'],
      text: 'ünï',
      inner: [
        'inner',
        'CHAT_MODEL',
        { messages: [{ role: 'user', content: 'hi' }] },
        [1, 2.5, null, { a: true }],
        true,
      ],
      event: ['chunk', { n: 1 }],
      times: true,
    })
  })

  it('tells of a failure with its exception', async () => {
    const failed = await session.run(`
      exp = experiment()
      @mlflow.trace
      def boom(): raise ValueError('no')
      try: boom()
      except ValueError: pass
      trace = mlflow.get_trace(last())
      span = trace.data.spans[0]
      result = [str(trace.info.state), span.status.description, span.events[0].name, count("status = 'ERROR'")]
    `)
    expect(failed).toEqual(['ERROR', 'ValueError: no', 'exception', 1])
  })

  it('finds traces as a frame and by filters, and pages through them', async () => {
    const found = await session.run<Record<string, unknown>>(`
      exp = experiment()
      for n in range(5):
          traced('ask' if n % 2 else 'tell', n=str(n))
          # The order of two that began in one millisecond would be anybody's.
          time.sleep(0.002)
      last()
      frame = mlflow.search_traces(locations=[exp], order_by=['timestamp_ms ASC'])
      page = client.search_traces(locations=[exp], max_results=2)
      pages = [len(page)]
      while page.token:
          page = client.search_traces(locations=[exp], max_results=2, page_token=page.token)
          pages.append(len(page))
      result = {'rows': len(frame), 'first': frame['tags'][0]['n'], 'pages': pages,
                'counts': [count(where) for where in ("name = 'ask'", "tags.n = '3'", "name RLIKE '^te'",
                           "span.attributes.\`mlflow.spanInputs\` LIKE '%why%'", "trace.text LIKE '%nothing%'", "timestamp_ms > 0")]}
    `)
    expect(found).toEqual({ rows: 5, first: '0', pages: [2, 2, 1], counts: [2, 1, 3, 5, 0, 5] })
  })

  it('refuses a filter in the words that clients look for', async () => {
    const failure = await session.failure(`client.search_traces(locations=['0'], filter_string="nonsense = 'x'")`)
    expect(failure.error).toContain('Invalid attribute key')
    expect(failure.errorCode).toBe('INVALID_PARAMETER_VALUE')
  })

  it('sets and deletes tags, and deletes traces by id and by time', async () => {
    const told = await session.run(`
      exp = experiment()
      one, two, three = traced(), traced(), traced()
      last()
      client.set_trace_tag(one, 'a', 'b')
      before = mlflow.get_trace(one).info.tags['a']
      client.delete_trace_tag(one, 'a')
      after = 'a' in mlflow.get_trace(one).info.tags
      by_id = client.delete_traces(exp, trace_ids=[one])
      by_time = client.delete_traces(exp, max_timestamp_millis=int(time.time() * 1000) + 60000, max_traces=1)
      result = [before, after, by_id, by_time, count(''), mlflow.get_trace(one)]
    `)
    expect(told).toEqual(['b', false, 1, 1, 1, null])
  })

  it('logs feedback and expectations, changes, overrides and deletes them', async () => {
    const told = await session.run<Record<string, unknown>>(`
      exp = experiment()
      id = traced()
      last()
      human = AssessmentSource('HUMAN', 'ann')
      good = mlflow.log_feedback(trace_id=id, name='good', value=True, rationale='r', source=human, metadata={'k': 'v'})
      mlflow.log_feedback(trace_id=id, name='failed', error=ValueError('x'))
      mlflow.log_expectation(trace_id=id, name='want', value={'a': [1, 2.5]}, source=human)
      mlflow.log_assessment(trace_id=id, assessment=Feedback(name='score', value=0.5))
      score = [a for a in mlflow.get_trace(id).info.assessments if a.name == 'score'][0]
      mlflow.update_assessment(trace_id=id, assessment_id=score.assessment_id, assessment=Feedback(name='score', value=0.75))
      over = mlflow.override_feedback(trace_id=id, assessment_id=score.assessment_id, value=1)
      overridden = mlflow.get_assessment(id, score.assessment_id)
      found = [count("feedback.good = 'true'"), count('feedback.score > 0.9'), count('expectation.want IS NOT NULL'), count('feedback.none IS NULL')]
      mlflow.delete_assessment(id, over.assessment_id)
      result = {
          'good': [good.value, good.rationale, good.metadata, good.source.source_id, good.valid],
          'all': {a.name: (a.feedback or a.expectation).value for a in mlflow.get_trace(id).info.assessments},
          'error': [a.error.error_message for a in mlflow.get_trace(id).info.assessments if a.name == 'failed'],
          'overridden': [overridden.value, overridden.valid], 'found': found,
          'restored': mlflow.get_assessment(id, score.assessment_id).valid,
      }
    `)
    expect(told).toEqual({
      good: [true, 'r', { k: 'v' }, 'ann', true],
      all: { good: true, failed: null, want: { a: [1, 2.5] }, score: 0.75 },
      error: ['x'],
      overridden: [0.75, false],
      found: [1, 1, 1, 1],
      restored: true,
    })
  })

  it('finds the traces of a run: made in it, or linked to it', async () => {
    const counts = await session.run(`
      exp = experiment()
      outside = traced()
      with mlflow.start_run() as run: traced()
      mlflow.flush_trace_async_logging()
      before = len(mlflow.search_traces(locations=[exp], run_id=run.info.run_id))
      client.link_traces_to_run([outside], run.info.run_id)
      result = [before, len(mlflow.search_traces(locations=[exp], run_id=run.info.run_id))]
    `)
    expect(counts).toEqual([1, 2])
  })

  it('links versions of prompts: by hand, and those loaded within a trace', async () => {
    const counts = await session.run(`
      exp = experiment()
      name = 'greet-' + uuid.uuid4().hex
      prompt = mlflow.genai.register_prompt(name, 'Hello {{who}}')
      id = traced()
      last()
      client.link_prompt_versions_to_trace([prompt], id)
      by_hand = count("prompt = '%s/1'" % name)
      with mlflow.start_span('uses it'): mlflow.genai.load_prompt(name, version=1)
      last()
      for _ in range(600):
          if count("prompt = '%s/1'" % name) == 2: break
          time.sleep(0.05)
      result = [by_hand, count("prompt = '%s/1'" % name)]
    `)
    expect(counts).toEqual([1, 2])
  })

  it('is driven through the client step by step, with a start in the past', async () => {
    const told = await session.run(`
      exp = experiment()
      root = client.start_trace('manual', inputs={'a': 1}, tags={'t': 'u'}, experiment_id=exp, start_time_ns=1700000000000000001)
      child = client.start_span('child', trace_id=root.trace_id, parent_id=root.span_id, start_time_ns=1700000000000000002)
      client.end_span(root.trace_id, child.span_id, outputs=2, end_time_ns=1700000001000000003)
      client.end_trace(root.trace_id, outputs={'b': 2}, end_time_ns=1700000002500000004)
      mlflow.flush_trace_async_logging()
      trace = mlflow.get_trace(root.trace_id)
      result = [trace.info.tags['t'], trace.info.request_time, trace.info.execution_duration,
                [str(span.start_time_ns) for span in trace.data.spans]]
    `)
    expect(told).toEqual(['u', 1_700_000_000_000, 2500, ['1700000000000000001', '1700000000000000002']])
  })

  it('answers the questions of the overview: correlation and metrics', async () => {
    const told = await session.run<unknown[]>(`
      from mlflow.entities.trace_metrics import AggregationType, MetricAggregation, MetricViewType
      from mlflow.tracing.client import TracingClient
      exp = experiment()
      traced('ask', team='red'); traced('ask', team='red'); traced('tell', team='blue')
      last()
      store = TracingClient().store
      together = store.calculate_trace_filter_correlation([exp], "tags.team = 'red'", "name = 'ask'")
      points = store.query_trace_metrics([exp], MetricViewType.TRACES, 'trace_count',
          [MetricAggregation(AggregationType.COUNT)], dimensions=['trace_name'])
      medians = store.query_trace_metrics([exp], MetricViewType.SPANS, 'latency',
          [MetricAggregation(AggregationType.PERCENTILE, 50)], dimensions=['span_status'])
      result = [together.npmi, together.joint_count, [[p.dimensions['trace_name'], p.values['COUNT']] for p in points], list(medians[0].values)]
    `)
    expect(told[0]).toBeCloseTo(1)
    expect(told.slice(1)).toEqual([
      2,
      [
        ['ask', 2],
        ['tell', 1],
      ],
      ['P50.0'],
    ])
  })

  it('is served an OpenTelemetry exporter of its own', async () => {
    const told = await session.run(`
      import requests
      from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
      exp = experiment()
      request = ExportTraceServiceRequest()
      span = request.resource_spans.add().scope_spans.add().spans.add()
      span.trace_id, span.span_id, span.name = bytes.fromhex('0a' * 16), bytes.fromhex('0b' * 8), 'foreign'
      span.start_time_unix_nano, span.end_time_unix_nano = 10**18, 10**18 + 5 * 10**6
      attribute = span.attributes.add(); attribute.key = 'input.value'; attribute.value.string_value = 'hello'
      answer = requests.post(mlflow.get_tracking_uri() + '/v1/traces', data=request.SerializeToString(),
          headers={'content-type': 'application/x-protobuf', 'x-mlflow-experiment-id': exp})
      trace = mlflow.get_trace('tr-' + '0a' * 16)
      result = [answer.status_code, trace.info.execution_duration, trace.data.spans[0].inputs]
    `)
    expect(told).toEqual([200, 5, 'hello'])
  })
})
