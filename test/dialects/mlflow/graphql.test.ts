import { request as httpRequest } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eachDatabase } from '../../support/databases.ts'
import { processorMs } from '../../support/processor-time.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'

type Answer = { status: number; body: { data?: unknown; errors?: string[] | null; error_code?: string } }
type Question = { query?: unknown; variables?: unknown; operationName?: unknown }

const api = '/api/2.0/mlflow'
const fieldsOfRest: Record<string, string> = {
  'experiments/get': 'mlflowGetExperiment',
  'runs/get': 'mlflowGetRun',
  'runs/search': 'mlflowSearchRuns',
  'artifacts/list': 'mlflowListArtifacts',
  'metrics/get-history-bulk-interval': 'mlflowGetMetricHistoryBulkInterval',
  'experiments/search-datasets': 'mlflowSearchDatasets',
  'model-versions/search': 'mlflowSearchModelVersions',
}

/** Each name as GraphQL has it. */
const camel = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value).replaceAll(/"\w+":/g, (name) =>
      name.replaceAll(/_(\w)/g, (_, one: string) => one.toUpperCase()),
    ),
  )
const longs = new Set(['creationTime', 'creationTimestamp', 'startTime', 'fileSize', 'step', 'timestamp'])
/** LongStrings as the numbers of REST. */
const numbersOf = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (name, one: unknown) => (longs.has(name) ? Number(one) : one))

eachDatabase("MLflow's GraphQL", (database) => {
  let server: MlflowServer
  let experimentId: string
  let runId: string
  let otherRunId: string

  beforeAll(async () => {
    server = await startMlflowServer(database)
    experimentId = (await post('experiments/create', { name: 'asked', tags: [{ key: 'team', value: 'a' }] }))
      .experiment_id as string
    runId = await newRun(experimentId, 'first')
    otherRunId = await newRun(experimentId, 'second')
    const metrics = Array.from({ length: 10 }, (_, step) => ({ key: 'auc', value: step / 10, timestamp: step, step }))
    await post('runs/log-batch', {
      run_id: runId,
      metrics: [...metrics, { key: 'lost', value: 'NaN', timestamp: 1, step: 0 }],
      params: [{ key: 'depth', value: '3' }],
    })
    await post('runs/log-inputs', {
      run_id: runId,
      datasets: [
        {
          tags: [{ key: 'mlflow.data.context', value: 'training' }],
          dataset: { name: 'rows', digest: 'd1', source_type: 'local', source: 'x' },
        },
        { tags: [], dataset: { name: 'more', digest: 'd2', source_type: 'local', source: 'x' } },
      ],
    })
    for (const path of ['a.txt', 'below/b.txt'])
      await fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts/${experimentId}/${runId}/artifacts/${path}`, {
        method: 'PUT',
        body: 'hello',
      })
    await post('registered-models/create', { name: 'judge' })
    for (const source of [runId, otherRunId])
      await post('model-versions/create', { name: 'judge', source: `runs:/${source}/model`, run_id: source })
  })
  afterAll(() => server?.close())

  async function post(path: string, body: unknown, authorization?: string): Promise<Record<string, unknown>> {
    const response = await fetch(`${server.url}${api}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(authorization ? { authorization } : {}) },
      body: JSON.stringify(body),
    })
    const answer = (await response.json()) as Record<string, unknown>
    if (response.status !== 200) throw new Error(`${path}: ${JSON.stringify(answer)}`)
    return answer
  }

  async function get(path: string, fields: Record<string, string | number | string[]>): Promise<unknown> {
    const query = new URLSearchParams(
      Object.entries(fields).flatMap(([name, value]) =>
        [value].flat().map((one): [string, string] => [name, String(one)]),
      ),
    )
    return (await fetch(`${server.url}${api}/${path}?${query}`)).json()
  }

  async function newRun(experiment: string, name: string, authorization?: string): Promise<string> {
    const { run } = (await post(
      'runs/create',
      { experiment_id: experiment, run_name: name, start_time: 1000 },
      authorization,
    )) as { run: { info: { run_id: string } } }
    return run.info.run_id
  }

  async function send(body: string, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
      body,
    })
    return { status: response.status, body: (await response.json()) as Answer['body'] }
  }

  const ask = (question: Question, authorization?: string): Promise<Answer> =>
    send(JSON.stringify(question), authorization ? { authorization } : {})
  async function dataOf(query: string, variables?: unknown): Promise<unknown> {
    const { status, body } = await ask({ query, variables })
    expect([status, body.errors]).toEqual([200, null])
    return body.data
  }
  const errorsOf = async (question: Question): Promise<Answer['body']['errors']> => {
    const { status, body } = await ask(question)
    expect(status).toBe(200)
    return body.errors
  }

  it('answers a run with its experiment, versions, inputs, and the type zero of what it does not have', async () => {
    const query = `query run($asked: MlflowGetRunInput!) @component(name: "Page") {
      mlflowGetRun(input: $asked) {
        apiError { code message }
        run {
          info { runId runUuid runName experimentId status startTime endTime lifecycleStage }
          data { metrics { key value step timestamp modelId } params { key value } }
          inputs { datasetInputs { tags { key value } dataset { name digest sourceType profile } } modelInputs { modelId } }
          outputs { modelOutputs { modelId step } }
          experiment { experimentId name lifecycleStage tags { key value } }
          modelVersions { __typename name version runId status currentStage tags { key } aliases userId }
        }
      }
    }`
    const answer = await dataOf(query, { asked: { runId } })
    const { run } = (answer as { mlflowGetRun: { run: { data: { metrics: { key: string }[] } } } }).mlflowGetRun
    run.data.metrics.sort((a, b) => (a.key < b.key ? -1 : 1))
    expect(answer).toEqual({
      mlflowGetRun: {
        apiError: null,
        run: {
          info: {
            runId,
            runUuid: runId,
            runName: 'first',
            experimentId,
            status: 'RUNNING',
            startTime: '1000',
            endTime: '0',
            lifecycleStage: 'active',
          },
          data: {
            metrics: [
              { key: 'auc', value: 0.9, step: '9', timestamp: '9', modelId: '' },
              { key: 'lost', value: null, step: '0', timestamp: '1', modelId: '' },
            ],
            params: [{ key: 'depth', value: '3' }],
          },
          inputs: {
            datasetInputs: expect.arrayContaining([
              {
                tags: [{ key: 'mlflow.data.context', value: 'training' }],
                dataset: { name: 'rows', digest: 'd1', sourceType: 'local', profile: '' },
              },
              { tags: [], dataset: { name: 'more', digest: 'd2', sourceType: 'local', profile: '' } },
            ]),
            modelInputs: [],
          },
          outputs: { modelOutputs: [] },
          experiment: { experimentId, name: 'asked', lifecycleStage: 'active', tags: [{ key: 'team', value: 'a' }] },
          modelVersions: [
            {
              __typename: 'MlflowModelVersion',
              name: 'judge',
              version: '1',
              runId,
              status: 'READY',
              currentStage: 'None',
              tags: [],
              aliases: [],
              userId: '',
            },
          ],
        },
      },
    })
  })

  it('takes run_uuid for run_id, as REST does', async () => {
    expect(await dataOf(`{ mlflowGetRun(input: { runUuid: "${runId}" }) { run { info { runName } } } }`)).toEqual({
      mlflowGetRun: { run: { info: { runName: 'first' } } },
    })
  })

  it('answers an experiment', async () => {
    const query = `{ mlflowGetExperiment(input: { experimentId: "${experimentId}" }) { experiment { name tags { value } } } }`
    expect(await dataOf(query)).toEqual({
      mlflowGetExperiment: { experiment: { name: 'asked', tags: [{ value: 'a' }] } },
    })
  })

  it('answers the history of a metric, whole and of an interval of steps', async () => {
    const query = `query history($asked: MlflowGetMetricHistoryBulkIntervalInput) {
      mlflowGetMetricHistoryBulkInterval(input: $asked) { metrics { key value step runId } }
    }`
    const steps = async (asked: object) => {
      const data = await dataOf(query, { asked: { runIds: [runId], metricKey: 'auc', ...asked } })
      return (data as { mlflowGetMetricHistoryBulkInterval: { metrics: { step: string }[] } })
        .mlflowGetMetricHistoryBulkInterval.metrics
    }
    expect(await steps({})).toEqual(
      Array.from({ length: 10 }, (_, step) => ({ key: 'auc', value: step / 10, step: String(step), runId })),
    )
    expect((await steps({ startStep: 3, endStep: 5 })).map(({ step }) => step)).toEqual(['3', '4', '5'])
    expect(await steps({ metricKey: 'lost' })).toEqual([{ key: 'lost', value: null, step: '0', runId }])
    expect(await steps({ runIds: ['nobody'] })).toEqual([])
    expect(await steps({ runIds: null })).toEqual([])
  })

  it('lists artifacts under several names by one fragment', async () => {
    const query = `fragment files on MlflowListArtifactsResponse { files { path isDir fileSize } }
      query lists {
        root: mlflowListArtifacts(input: { runId: "${runId}" }) { ...files rootUri nextPageToken }
        below: mlflowListArtifacts(input: { runId: "${runId}", path: "below" }) { ...files }
      }`
    expect(await dataOf(query)).toEqual({
      root: {
        files: [
          { path: 'a.txt', isDir: false, fileSize: '5' },
          { path: 'below', isDir: true, fileSize: '0' },
        ],
        rootUri: `mlflow-artifacts:/${experimentId}/${runId}/artifacts`,
        nextPageToken: '',
      },
      below: { files: [{ path: 'below/b.txt', isDir: false, fileSize: '5' }] },
    })
  })

  it.each(['query', 'mutation'])(
    'searches runs by a %s, page by page, each with its experiment and versions',
    async (kind) => {
      const query = `${kind} runs($asked: MlflowSearchRunsInput) {
      mlflowSearchRuns(input: $asked) {
        nextPageToken
        runs { info { runId } experiment { name } modelVersions { version } }
      }
    }`
      const page = async (asked: object) => {
        const data = await dataOf(query, { asked: { experimentIds: [experimentId], ...asked } })
        return (data as { mlflowSearchRuns: { nextPageToken: string; runs: unknown[] } }).mlflowSearchRuns
      }
      const orderBy = ['attributes.run_name ASC']
      const [first, second] = [
        { info: { runId }, experiment: { name: 'asked' }, modelVersions: [{ version: '1' }] },
        { info: { runId: otherRunId }, experiment: { name: 'asked' }, modelVersions: [{ version: '2' }] },
      ]
      expect(await page({ orderBy })).toEqual({ nextPageToken: '', runs: [first, second] })
      const { nextPageToken, runs } = await page({ orderBy, maxResults: 1 })
      expect(runs).toEqual([first])
      expect(await page({ orderBy, maxResults: 1, pageToken: nextPageToken })).toMatchObject({ runs: [second] })
      expect((await page({ filter: "params.depth = '3'" })).runs).toEqual([first])
      expect((await page({ runViewType: 'DELETED_ONLY' })).runs).toEqual([])
    },
  )

  it('searches datasets by a mutation', async () => {
    const query = `mutation { mlflowSearchDatasets(input: { experimentIds: ["${experimentId}"] }) {
      datasetSummaries { experimentId name digest context } } }`
    const { mlflowSearchDatasets } = (await dataOf(query)) as {
      mlflowSearchDatasets: { datasetSummaries: { name: string }[] }
    }
    expect(mlflowSearchDatasets.datasetSummaries.sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { experimentId, name: 'more', digest: 'd2', context: '' },
      { experimentId, name: 'rows', digest: 'd1', context: 'training' },
    ])
  })

  it.each([
    ['5', undefined],
    ['"5"', undefined],
    ['$max', 5],
    ['$max', '5'],
  ])('searches model versions, their number written as %s (%j)', async (written, max) => {
    const query = `query versions${max === undefined ? '' : '($max: LongString)'} {
      mlflowSearchModelVersions(input: { filter: "name = 'judge'", maxResults: ${written}, orderBy: ["version_number ASC"] }) {
        nextPageToken modelVersions { version source deploymentJobState { jobId } }
      } }`
    expect(await dataOf(query, { max })).toEqual({
      mlflowSearchModelVersions: {
        nextPageToken: '',
        modelVersions: [
          { version: '1', source: `runs:/${runId}/model`, deploymentJobState: null },
          { version: '2', source: `runs:/${otherRunId}/model`, deploymentJobState: null },
        ],
      },
    })
  })

  it.each([
    [
      'experiments/get',
      () => ({ experiment_id: experimentId }),
      `experiment { experimentId name creationTime lifecycleStage }`,
    ],
    [
      'runs/get',
      () => ({ run_id: runId }),
      `run { info { runId status startTime artifactUri } data { params { key value } } }`,
    ],
    ['runs/search', () => ({ experiment_ids: [experimentId] }), `runs { info { runId runName } }`],
    ['artifacts/list', () => ({ run_id: runId, path: 'below' }), `rootUri files { path isDir fileSize }`],
    [
      'metrics/get-history-bulk-interval',
      () => ({ run_ids: [runId], metric_key: 'auc', max_results: 4 }),
      `metrics { key value step timestamp runId }`,
    ],
    ['experiments/search-datasets', () => ({ experiment_ids: [experimentId] }), `datasetSummaries { name digest }`],
    ['model-versions/search', () => ({ filter: "name = 'judge'" }), `modelVersions { name version creationTimestamp }`],
  ])('shows of %s what REST answers', async (path, input, fields) => {
    const field = fieldsOfRest[path]!
    const type = field.replace('mlflow', 'Mlflow')
    const isMutation = field === 'mlflowSearchDatasets'
    const query = `${isMutation ? 'mutation' : 'query'} q($input: ${type}Input) { ${field}(input: $input) { ${fields} } }`
    const data = (await dataOf(query, { input: camel(input()) })) as Record<string, unknown>
    const rest =
      path.includes('search') && !path.startsWith('model') ? await post(path, input()) : await get(path, input())
    expect(camel(rest)).toMatchObject(numbersOf(data[field]) as object)
  })

  it('echoes by the test query and the test mutation', async () => {
    expect(await dataOf('{ test(inputString: "x") { output } }')).toEqual({ test: { output: 'x' } })
    expect(await dataOf('mutation { testMutation(inputString: "x") { output } }')).toEqual({
      testMutation: { output: 'x' },
    })
  })

  it('carries out the operation that is named', async () => {
    const query = 'query a { __typename } query b { test(inputString: "b") { output } }'
    expect((await ask({ query, operationName: 'b' })).body.data).toEqual({ test: { output: 'b' } })
    expect(await errorsOf({ query })).toEqual(['Must provide operation name if query contains multiple operations.'])
    expect(await errorsOf({ query, operationName: 'c' })).toEqual(['Unknown operation named "c".'])
  })

  it('answers a GET by its body, as a POST', async () => {
    const body = JSON.stringify({ query: '{ __typename }' })
    const answer = await new Promise<string>((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': body.length }
      const sent = httpRequest(`${server.url}/graphql`, { method: 'GET', headers }, (response) =>
        text(response).then(resolve, reject),
      )
      sent.once('error', reject)
      sent.end(body)
    })
    expect(JSON.parse(answer)).toEqual({ data: { __typename: 'Query' }, errors: null })
  })

  describe('says in the list of errors, with status 200,', () => {
    const runs = (input: string) => `{ mlflowSearchRuns(input: ${input}) { runs { info { runId } } } }`
    it.each([
      ['{ mlflowGetRun(input: { runId: "nope" }) { run { info { runId } } } }', 'Run with id=nope not found'],
      ['{ mlflowGetRun { run { info { runId } } } }', 'Run with id= not found'],
      [
        '{ mlflowGetExperiment(input: { experimentId: "999" }) { experiment { name } } }',
        'No Experiment with id=999 exists',
      ],
      [
        '{ mlflowGetExperiment(input: { experimentId: "abc" }) { experiment { name } } }',
        "Invalid experiment ID 'abc'. Experiment ID must be a valid integer.",
      ],
      [
        'mutation { mlflowSearchDatasets(input: {}) { datasetSummaries { name } } }',
        'SearchDatasets request must specify at least one experiment_id.',
      ],
      [
        runs('{ maxResults: 60000 }'),
        "Invalid value 60000 for parameter 'max_results' supplied. It must be at most 50000",
      ],
      [
        runs('{ maxResults: 0 }'),
        "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer",
      ],
      [
        '{ mlflowSearchModelVersions(input: { maxResults: 0 }) { modelVersions { name } } }',
        'Invalid value for max_results. It must be a positive integer, but got 0',
      ],
      [
        runs('{ experimentIds: [null] }'),
        'Failed to parse experiment_ids field: null is not allowed as an element of a list.',
      ],
      [runs('{ filter: "\\u0000" }'), "The text of 'filter' cannot hold the character U+0000."],
      ['{ nope }', 'Cannot query field "nope" on type "Query".'],
      ['{ mlflowGetRun(input: { runId: 5 }) { __typename } }', 'String cannot represent a non string value: 5'],
      ['subscription { a }', 'Schema is not configured to execute subscription operation.'],
      ['query a { __typename } fragment f on Query { __typename }', 'Fragment "f" is never used.'],
    ])('%s: %s', async (query, message) => {
      expect(await errorsOf({ query })).toContain(message)
    })

    it('a path that leads out', async () => {
      const query = `{ mlflowListArtifacts(input: { runId: "${runId}", path: "../x" }) { rootUri } }`
      expect(await ask({ query })).toEqual({
        status: 200,
        body: { data: { mlflowListArtifacts: null }, errors: ['Invalid path'] },
      })
    })

    it('what is wrong with one field, beside the answers of the others', async () => {
      const query = '{ test(inputString: "x") { output } mlflowGetRun(input: { runId: "nope" }) { __typename } }'
      expect((await ask({ query })).body).toEqual({
        data: { test: { output: 'x' }, mlflowGetRun: null },
        errors: ['Run with id=nope not found'],
      })
    })

    it('that a query cannot be read', async () => {
      const { status, body } = await ask({ query: '{ mlflowGetRun(' })
      expect([status, body.data]).toEqual([200, null])
      expect(body.errors?.[0]).toMatch(/^Syntax Error/)
    })
  })

  describe('refuses more than one may ask at once:', () => {
    const times = (count: number, what: (index: number) => string) =>
      Array.from({ length: count }, (_, i) => what(i)).join(' ')
    const deep = (levels: number, open: string, close: string) => open.repeat(levels) + close.repeat(levels)
    it.each([
      ['11 fields at the root', `{ ${times(11, () => '__typename')} }`, 'at most 10 root fields, got 11 root fields'],
      [
        '11 fields at the root, spread by fragments',
        `{ ...f ...g } fragment f on Query { ${times(6, () => '__typename')} } fragment g on Query { ${times(5, () => '__typename')} }`,
        'at most 10 root fields, got 11 root fields',
      ],
      [
        '11 fields at the roots of several operations',
        times(11, (i) => `query q${i} { __typename }`),
        'at most 10 root fields, got 11 root fields',
      ],
      ['11 aliases', `{ test { ${times(11, (i) => `a${i}: output`)} } }`, 'at most 10 aliases, got 11 aliases'],
      ['11 levels', `{ a ${deep(10, '{ a ', '}')} }`, 'Query exceeds maximum depth of 10'],
      [
        'a fragment within itself',
        '{ ...f } fragment f on Query { test { ...f } }',
        'Query exceeds maximum depth of 10',
      ],
      ['1,001 fields', `{ test { ${times(1000, () => 'output')} } }`, 'Query exceeds maximum total selections of 1000'],
      [
        'fragments that double at each level',
        `{ a { ...f0 } } ${times(9, (i) => `fragment f${i} on T { a { ...f${i + 1} } b { ...f${i + 1} } }`)} fragment f9 on T { a }`,
        'Query exceeds maximum',
      ],
      ['10,001 words', `{ test(inputString: [${times(10_000, () => '1')}]) { output } }`, '10000 tokens'],
      ['brackets within brackets', `{ test(inputString: ${deep(4900, '[', ']')}) { output } }`, 'nested too deeply'],
      [
        'a thousand fields to compare with each other',
        `{ __typename } fragment f on Query { ${times(1000, () => 'test(inputString: "x") { output }')} }`,
        'Fragment "f" is never used.',
      ],
    ])('%s', async (_, query, message) => {
      const refused = async () => expect((await errorsOf({ query }))?.join()).toContain(message)
      expect(await processorMs(refused)).toBeLessThan(5000)
    })
  })

  it.each([
    ['no query', {}, "Missing value for required parameter 'query'"],
    ['an empty query', { query: '' }, "Missing value for required parameter 'query'"],
    ['a query that is no text', { query: 5 }, "Invalid value 5 for parameter 'query'"],
    ['variables that are no object', { query: '{ __typename }', variables: [1] }, "for parameter 'variables'"],
    ['a list', [1], 'must be a JSON object'],
  ])('refuses %s in the form of REST', async (_, body, message) => {
    const answer = await send(JSON.stringify(body))
    expect(answer).toMatchObject({
      status: 400,
      body: { error_code: 'INVALID_PARAMETER_VALUE', message: expect.stringContaining(message) },
    })
  })

  it('takes only JSON, so that a page of others cannot make a browser ask', async () => {
    const answer = await send('{"query": "{ __typename }"}', { 'content-type': 'text/plain' })
    expect(answer).toMatchObject({ status: 400, body: { error_code: 'INVALID_PARAMETER_VALUE' } })
  })

  describe('to users without permissions', () => {
    let hidden: { experimentId: string; runId: string }
    let eve: string

    beforeAll(async () => {
      const owner = `Bearer ${server.ownerToken}`
      const password = 'a password of eve'
      await post('users/create', { username: 'eve', password }, owner)
      eve = `Basic ${Buffer.from(`eve:${password}`).toString('base64')}`
      const { experiment_id } = (await post('experiments/create', { name: 'hidden' })) as { experiment_id: string }
      hidden = { experimentId: experiment_id, runId: await newRun(experiment_id, 'secret') }
      await post('registered-models/create', { name: 'hidden' })
      await post('model-versions/create', { name: 'hidden', source: `runs:/${runId}/model`, run_id: runId })
      for (const [resource_type, resource_id] of [
        ['experiment', experiment_id],
        ['registered_model', 'hidden'],
      ])
        await fetch(`${server.url}/api/3.0/mlflow/users/permissions/grant`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: owner },
          body: JSON.stringify({ username: 'eve', resource_type, resource_id, permission: 'DENY' }),
        })
    })

    it.each([
      ['mlflowGetExperiment', () => `experimentId: "${hidden.experimentId}"`],
      ['mlflowGetRun', () => `runId: "${hidden.runId}"`],
      ['mlflowGetRun', () => `runUuid: "${hidden.runId}"`],
      ['mlflowListArtifacts', () => `runId: "${hidden.runId}"`],
      ['mlflowGetMetricHistoryBulkInterval', () => `runIds: ["${runId}", "${hidden.runId}"], metricKey: "auc"`],
    ])('%s shows nothing of an experiment that they may not read', async (field, input) => {
      const query = `{ ${field}(input: { ${input()} }) { __typename } }`
      const { body } = await ask({ query }, eve)
      expect(body.data).toEqual({ [field]: null })
      expect(body.errors?.join()).toContain('Permission denied: eve has DENY on experiment')
      expect((await ask({ query })).body.errors).toBeNull()
    })

    it('searches leave out what they may not read', async () => {
      const ids = JSON.stringify([hidden.experimentId, experimentId])
      const { body } = await ask(
        {
          query: `{
            mlflowSearchRuns(input: { experimentIds: ${ids} }) { runs { info { experimentId } modelVersions { name } } }
            mlflowSearchModelVersions(input: {}) { modelVersions { name } }
          }`,
        },
        eve,
      )
      expect(body.errors).toBeNull()
      expect(JSON.stringify(body.data)).not.toContain('hidden')
      const { mlflowSearchRuns } = body.data as { mlflowSearchRuns: { runs: { info: { experimentId: string } }[] } }
      expect(mlflowSearchRuns.runs.map(({ info }) => info.experimentId)).toEqual([experimentId, experimentId])
    })

    it('a search of datasets in a hidden experiment alone is one in none', async () => {
      const query = `mutation { mlflowSearchDatasets(input: { experimentIds: ["${hidden.experimentId}"] }) { datasetSummaries { name } } }`
      expect((await ask({ query }, eve)).body.errors).toEqual([
        'SearchDatasets request must specify at least one experiment_id.',
      ])
    })

    it("a step's token reads", async () => {
      const query = `{ mlflowGetRun(input: { runId: "${hidden.runId}" }) { run { info { runName } } } }`
      const { body } = await ask({ query }, `Bearer ${server.stepToken(runId)}`)
      expect(body).toEqual({ data: { mlflowGetRun: { run: { info: { runName: 'secret' } } } }, errors: null })
    })

    it('a version of a model that they may not read is not shown at an address with two slashes either', async () => {
      for (const path of ['/model-versions/get-artifact', '//model-versions/get-artifact']) {
        const response = await fetch(`${server.url}${path}?name=hidden&version=1&path=a.txt`, {
          headers: { authorization: eve },
        })
        expect(response.status).toBe(403)
      }
    })
  })

  it.each(['/model-versions/get-artifact', '//model-versions/get-artifact'])(
    '%s refuses a path that leads out before it looks for the version',
    async (path) => {
      const response = await fetch(`${server.url}${path}?name=none&version=1&path=../path`)
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({ error_code: 'INVALID_PARAMETER_VALUE', message: 'Invalid path' })
    },
  )
})
