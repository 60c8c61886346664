import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eachDatabase } from '../../support/databases.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'

type Body = Record<string, unknown> & { error_code?: string; message?: string }
type Answer = { status: number; body: Body }

// What is expected here was read off a stock MLflow 3.17.2 (SQLite), asked the same.
eachDatabase("how MLflow's messages are read", (database) => {
  let server: MlflowServer
  let run: string

  beforeAll(async () => {
    server = await startMlflowServer(database)
    run = await newRun()
  })
  afterAll(() => server?.close())

  async function call(method: string, path: string, init: RequestInit = {}): Promise<Answer> {
    const url = server.url + (path.startsWith('/') ? path : `/api/2.0/mlflow/${path}`)
    const response = await fetch(url, { method, ...init })
    const said = await response.text()
    return { status: response.status, body: said === '' ? {} : JSON.parse(said) }
  }
  const json = { 'content-type': 'application/json' }
  const post = (path: string, body: unknown) =>
    call('POST', path, { headers: json, body: typeof body === 'string' ? body : JSON.stringify(body) })
  const patch = (path: string, body: unknown) => call('PATCH', path, { headers: json, body: JSON.stringify(body) })

  async function newRun(): Promise<string> {
    const { body } = await post('runs/create', { experiment_id: '0', start_time: 1000 })
    return (body as { run: { info: { run_id: string } } }).run.info.run_id
  }
  type RunBody = {
    info: Record<string, unknown>
    data: Record<string, { key: string; value: unknown }[]>
    inputs: never
  }
  async function getRun(id: string): Promise<RunBody> {
    const { body } = await call('GET', `runs/get?run_id=${id}`)
    return (body as { run: RunBody }).run
  }

  const hint = (type: string) => `Hint: Value was of type '${type}'. See the API docs`

  it.each<[string, unknown, string]>([
    ['experiments/create', '{"name": 123}', `Invalid value 123 for parameter 'name' supplied:  ${hint('int')}`],
    ['experiments/create', '{"name": 9.0}', `Invalid value 9.0 for parameter 'name' supplied:  ${hint('float')}`],
    ['experiments/create', { name: ['a'] }, `Invalid value ["a"] for parameter 'name' supplied:  ${hint('list')}`],
    [
      'experiments/create',
      { name: 'e', tags: '5' },
      `Invalid value "5" for parameter 'tags' supplied:  ${hint('str')}`,
    ],
    ['experiments/create', { name: 'é', artifact_location: 5 }, "Invalid value 5 for parameter 'artifact_location'"],
    ['experiments/create', { name: 'e', tags: [{ key: 5, value: 'x' }] }, 'Invalid value "" for parameter \'key\''],
    ['experiments/create', { name: 'e', tags: [5] }, 'Invalid value "" for parameter \'key\''],
    ['experiments/create', { name: 'e', tags: [{ key: "é'*" }] }, "Invalid value \"\\u00e9'*\" for parameter 'key'"],
    ['experiments/create', { name: 'e', tags: [{ key: '//a' }] }, "This name would resolve to '//a'"],
    [
      'experiments/create',
      { name: 'e', artifactLocation: 's3://b', artifact_location: 's3://b' },
      "Request specifies both 'artifact_location' and 'artifactLocation'; provide only one of them.",
    ],
    ['experiments/create', { name: 'e', artifact_location: 's3://b/x#f' }, "can't include fragments or params"],
    ['experiments/create', { name: 'e', artifact_location: 's3://b/x?y=../z' }, 'Invalid query string'],
    ['experiments/create', { name: 'e', artifact_location: 'http://h/x' }, "cannot use the 'http' scheme"],
    ['experiments/create', { name: 'e', artifact_location: 'runs:/x' }, 'cannot be a runs:/ URI'],
    ['experiments/create', { name: 'a\u0000b' }, 'U+0000'],
    [
      'runs/search',
      { experiment_ids: '0' },
      `Invalid value "0" for parameter 'experiment_ids' supplied:  ${hint('str')}`,
    ],
    ['runs/search', { experiment_ids: ['0'], order_by: [5] }, "Invalid value [5] for parameter 'order_by'"],
    ['runs/search', { experiment_ids: ['0'], max_results: 50_001 }, "Invalid value 50001 for parameter 'max_results'"],
    ['runs/log-batch', { run_id: 'a b' }, 'Invalid value "a b" for parameter \'run_id\' supplied.'],
    ['runs/log-inputs', { run_id: 'a b' }, 'Invalid value "a b" for parameter \'run_id\' supplied.'],
    ['logged-models/search', { experiment_ids: [1] }, "Invalid value [1] for parameter 'experiment_ids'"],
    ['logged-models/search', { experiment_ids: ['0'], datasets: [{}] }, '`dataset_name` in the `datasets` clause'],
    ['logged-models', { experiment_id: '0', name: "a'b" }, 'Invalid model name ("a\'b") provided.'],
  ])('POST %s %j is refused: %s', async (path, body, words) => {
    const answer = await post(path, body)
    expect(answer).toMatchObject({ status: 400, body: { error_code: 'INVALID_PARAMETER_VALUE' } })
    expect(answer.body.message).toContain(words)
  })

  it('files an error as MLflow does', async () => {
    expect((await post('experiments/create', {})).body).toEqual({
      error_code: 'INVALID_PARAMETER_VALUE',
      message:
        "Missing value for required parameter 'name'. See the API docs for more information about request parameters.",
      sqlstate: 'KAM00',
      error_class: 'INVALID_PARAMETER_VALUE',
    })
    expect((await call('GET', 'runs/get?run_id=gone')).body).toMatchObject({
      error_code: 'RESOURCE_DOES_NOT_EXIST',
      error_class: 'RESOURCE_NOT_FOUND',
    })
  })

  it('takes JSON only, so that no page of another site can have a browser send it', async () => {
    const sent = { body: '{"name": "x"}', headers: { 'content-type': 'text/plain' } }
    expect((await call('POST', 'experiments/create', sent)).body.message).toBe(
      "Bad Request. Content-Type must be one of ['application/json'].",
    )
    expect((await call('POST', 'experiments/create')).body.message).toBe('Bad Request. Content-Type header is missing.')
  })

  it('reads a message within a string, and with a charset, as older clients send it', async () => {
    expect((await post('experiments/search', '"{\\"max_results\\": 1}"')).status).toBe(200)
    const sent = { body: '{"max_results": 1}', headers: { 'content-type': 'application/json; charset=utf-8' } }
    expect((await call('POST', 'experiments/search', sent)).status).toBe(200)
  })

  it('minds neither fields that it does not know nor nulls, and reads camelCase', async () => {
    const { body } = await post('runs/create', { experimentId: '0', startTime: 8, runName: 'camel', tags: null, x: 5 })
    expect(body).toMatchObject({ run: { info: { run_name: 'camel', start_time: 8 } } })
  })

  it('reads integers from texts, and status and view by number', async () => {
    const own = await newRun()
    expect((await post('runs/update', { run_id: own, status: '3', end_time: '77' })).body).toMatchObject({
      run_info: { status: 'FINISHED', end_time: 77 },
    })
    const found = await post('runs/search', { experiment_ids: ['0'], run_view_type: 2 })
    expect(found.body).toMatchObject({ runs: [] })
  })

  it('leaves the status alone where its name is not known', async () => {
    const own = await newRun()
    expect((await post('runs/update', { run_id: own, status: 'BAD' })).body).toMatchObject({
      run_info: { status: 'RUNNING' },
    })
  })

  it('drops what protobuf does not take and what follows it, where MLflow asks no more of it', async () => {
    const { body } = await post(
      'runs/create',
      '{"experiment_id": "0", "start_time": 5, "user_id": 7, "run_name": "dropped"}',
    )
    const { info } = (body as { run: RunBody }).run
    expect(info).toMatchObject({ start_time: 5, user_id: '' })
    expect(info.run_name).not.toBe('dropped')
  })

  it('refuses a status that a logged model cannot have', async () => {
    const { body } = await post('logged-models', { experiment_id: '0', name: 'm' })
    const id = (body as { model: { info: { model_id: string } } }).model.info.model_id
    const answer = await patch(`logged-models/${id}`, { model_id: id, status: 'BAD' })
    expect(answer).toMatchObject({
      status: 400,
      body: { message: 'Invalid value "BAD" for parameter \'status\' supplied.' },
    })
  })

  it('resolves a relative artifact location on the server', async () => {
    const { body } = await post('experiments/create', { name: 'relative', artifact_location: 'here/it is' })
    const got = await call('GET', `experiments/get?experiment_id=${body.experiment_id}`)
    expect(got.body).toMatchObject({ experiment: { artifact_location: `${process.cwd()}/here/it is` } })
  })

  describe('metrics', () => {
    it.each<[unknown, number]>([
      [true, 1],
      ['1.5', 1.5],
      [' 2 ', 2],
      ['inf', 1.7976931348623157e308],
      ['-Infinity', -1.7976931348623157e308],
    ])('%j is the number %d', async (value, number) => {
      const own = await newRun()
      expect((await post('runs/log-metric', { run_id: own, key: 'm', value, timestamp: 1 })).status).toBe(200)
      expect((await getRun(own)).data.metrics).toMatchObject([{ key: 'm', value: number }])
    })

    it.each<[unknown, string]>([
      [{ key: 'm', value: 'x', timestamp: 1 }, 'Invalid value "x" for parameter \'value\' supplied'],
      [{ key: 'm', value: 31, timestamp: 'foo' }, 'Invalid value "foo" for parameter \'timestamp\' supplied'],
      [{ key: 'm', value: 31, timestamp: 1, step: 'foo' }, 'Invalid value "foo" for parameter \'step\' supplied'],
      [
        { key: 'm', value: 1, timestamp: -1 },
        "Invalid value -1 for parameter 'timestamp' supplied: metric 'm' (value=1.0). Timestamp must be a nonnegative long",
      ],
    ])('%j is refused: %s', async (metric, words) => {
      const answer = await post('runs/log-metric', { run_id: run, ...(metric as object) })
      expect(answer.status).toBe(400)
      expect(answer.body.message).toContain(words)
    })

    it('of a batch need a key, a value and a time, told by their place', async () => {
      const { body } = await post('runs/log-batch', { run_id: run, metrics: [{ key: 'mae', value: 2.5 }] })
      expect(body.message).toContain("Missing value for required parameter 'metrics[0].timestamp'.")
    })

    it('come back as one evenly spaced sample a run, with the first and the last', async () => {
      const own = await newRun()
      const metrics = Array.from({ length: 10 }, (_, step) => ({ key: 'h', value: step, timestamp: 1, step }))
      await post('runs/log-batch', { run_id: own, metrics })
      const path = `/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids=${own}&run_ids=gone&metric_key=h`
      const steps = async (more: string) =>
        ((await call('GET', path + more)).body as { metrics: { step: number }[] }).metrics.map(({ step }) => step)
      expect(await steps('&max_results=5')).toEqual([0, 2, 4, 6, 9])
      expect(await steps('&max_results=1')).toEqual([9])
      expect(await steps('&start_step=2&end_step=4')).toEqual([2, 3, 4])
      expect((await call('GET', `${path}&start_step=2`)).body.message).toBe(
        'If either start step or end step are specified, both must be specified.',
      )
      expect((await call('GET', `${path}&max_results=0`)).body.message).toContain(
        'max_results must be between 1 and 2500.',
      )
    })
  })

  it('cuts a long param by characters, so that no half of one is left', async () => {
    const own = await newRun()
    await post('runs/log-parameter', { run_id: own, key: 'p', value: '😀'.repeat(6001) })
    expect((await getRun(own)).data.params).toEqual([{ key: 'p', value: '😀'.repeat(6000) }])
  })

  it('keeps an incomplete dataset of a run, as empty texts, and refuses one that is too long', async () => {
    const own = await newRun()
    expect((await post('runs/log-inputs', { run_id: own, datasets: [{ dataset: { name: 'd' } }] })).status).toBe(200)
    expect((await getRun(own)).inputs).toMatchObject({ dataset_inputs: [{ dataset: { name: 'd', digest: '' } }] })
    const long = await post('runs/log-inputs', { run_id: own, datasets: [{ dataset: { digest: 'd'.repeat(37) } }] })
    expect(long.body.message).toBe("'digest' exceeds the maximum length of 36 characters")
  })

  it('keeps of an older client’s model what MLflow keeps, in its writing', async () => {
    const own = await newRun()
    const model = {
      artifact_path: 'm',
      flavors: { python_function: { loader_module: 'x', config: { a: 1 } } },
      utc_time_created: '2024-01-01 00:00:00.000000',
      run_id: own,
      signature: null,
    }
    await post('runs/log-model', { run_id: own, model_json: JSON.stringify(model) })
    const tag = (await getRun(own)).data.tags?.find(({ key }) => key === 'mlflow.log-model.history')
    expect(tag?.value).toBe(
      `[{"run_id": "${own}", "artifact_path": "m", "utc_time_created": "2024-01-01 00:00:00.000000", ` +
        '"flavors": {"python_function": {"loader_module": "x"}}}]',
    )
  })

  describe('datasets of experiments', () => {
    const path = '/ajax-api/2.0/mlflow/experiments/search-datasets'

    it('are told with their context', async () => {
      const { body } = await post('experiments/create', { name: 'datasets' })
      const id = String(body.experiment_id)
      const created = (await post('runs/create', { experiment_id: id })).body as { run: RunBody }
      const own = created.run.info.run_id
      const dataset = (name: string) => ({ name, digest: 'x', source_type: 'local', source: '{}' })
      const tags = [{ key: 'mlflow.data.context', value: 'training' }]
      await post('runs/log-inputs', {
        run_id: own,
        datasets: [{ dataset: dataset('a'), tags }, { dataset: dataset('b') }],
      })
      expect((await post(path, { experiment_ids: [id] })).body).toEqual({
        dataset_summaries: [
          { experiment_id: id, name: 'a', digest: 'x', context: 'training' },
          { experiment_id: id, name: 'b', digest: 'x' },
        ],
      })
    })

    it('are asked for by 1 to 20 experiments', async () => {
      expect((await post(path, {})).body.message).toBe(
        'SearchDatasets request must specify at least one experiment_id.',
      )
      const many = await post(path, { experiment_ids: Array.from({ length: 21 }, (_, id) => `${id}`) })
      expect(many.body.message).toContain('cannot specify more than 20 experiment_ids. Received 21')
    })
  })

  describe('a run of the prompt lab', () => {
    const path = '/ajax-api/2.0/mlflow/runs/create-promptlab-run'
    const asked = {
      experiment_id: '0',
      prompt_template: 'say {{ what }}',
      prompt_parameters: [{ key: 'what', value: 'hello' }],
      model_route: 'route',
      model_input: 'say hello',
      mlflow_version: '1.0.0',
    }

    it.each(Object.keys(asked))('needs %s', async (field) => {
      const answer = await post(path, { ...asked, [field]: undefined })
      expect(answer.body.message).toBe(`CreatePromptlabRun request must specify ${field}.`)
    })

    it('keeps params, tags and a table of the answer', async () => {
      const { body } = await post(path, {
        ...asked,
        model_output: 'hello!',
        model_parameters: [{ key: 't', value: '0.1' }],
      })
      const made = (body as { run: RunBody }).run
      expect(made.info).toMatchObject({ status: 'FINISHED', user_id: 'unknown' })
      expect(made.data.params).toEqual(
        expect.arrayContaining([
          { key: 't', value: '0.1' },
          { key: 'model_route', value: 'route' },
        ]),
      )
      const table = await call('GET', `/get-artifact?run_id=${made.info.run_id}&path=eval_results_table.json`)
      expect(table.body).toEqual({ columns: ['what', 'prompt', 'output'], data: [['hello', 'say hello', 'hello!']] })
    })
  })
})
