import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createHttpApp, mountEndpoints } from '../../../src/compose/http/app.ts'
import { isGuarded } from '../../../src/dialects/mlflow/route-guards.ts'
import { registryEndpoints } from '../../../src/registry/index.ts'
import { trackingEndpoints } from '../../../src/tracking/index.ts'
import { webhookEndpoints } from '../../../src/webhooks/index.ts'
import { databases, eachDatabase, type TestDatabase } from '../../support/databases.ts'
import { PythonSession, testPython } from '../../support/python.ts'
import { type MlflowServer, type MlflowServerOptions, startMlflowServer } from './mlflow-server.ts'

const python = testPython()
const basic = (name: string, secret: string) => `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`

type Answer = { status: number; body: Record<string, never> & { error_code?: string; message?: string } }

/** Who asks, at a server. */
class Caller {
  readonly #url: string
  readonly #authorization: string | undefined

  constructor(url: string, authorization?: string) {
    this.#url = url
    this.#authorization = authorization
  }

  async ask(method: string, path: string, body?: unknown): Promise<Answer> {
    const inQuery = method === 'GET' && body !== undefined
    const query = inQuery ? `?${new URLSearchParams(body as Record<string, string>)}` : ''
    const response = await fetch(this.#url + path + query, {
      method,
      headers: {
        ...(this.#authorization ? { authorization: this.#authorization } : {}),
        ...(body === undefined || inQuery ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined || inQuery ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : { text } }
  }

  get = (path: string, body?: unknown) => this.ask('GET', path, body)
  post = (path: string, body: unknown) => this.ask('POST', path, body)

  async done<T = Record<string, never>>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.ask(method, path, body)
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body as T
  }
}

async function withUsers(database: TestDatabase, options?: MlflowServerOptions) {
  const server = await startMlflowServer(database, options)
  const owner = new Caller(server.url, `Bearer ${server.ownerToken}`)
  const user = async (name: string) => {
    await owner.done('POST', '/api/2.0/mlflow/users/create', { username: name, password: `a password of ${name}` })
    return new Caller(server.url, basic(name, `a password of ${name}`))
  }
  return { server, owner, user, nobody: new Caller(server.url) }
}

const api = '/api/2.0/mlflow'
const v3 = '/api/3.0/mlflow'

eachDatabase('users and permissions of the mlflow door', (database) => {
  let server: MlflowServer
  let owner: Caller
  let nobody: Caller
  let ben: Caller
  let eve: Caller

  beforeAll(async () => {
    const started = await withUsers(database)
    ;({ server, owner, nobody } = started)
    ben = await started.user('ben')
    eve = await started.user('eve')
  })
  afterAll(() => server?.close())

  const experimentOf = async (who: Caller, name: string): Promise<string> =>
    (await who.done<{ experiment_id: string }>('POST', `${api}/experiments/create`, { name })).experiment_id
  const runIn = async (who: Caller, experimentId: string): Promise<string> =>
    (
      await who.done<{ run: { info: { run_id: string } } }>('POST', `${api}/runs/create`, {
        experiment_id: experimentId,
      })
    ).run.info.run_id
  const grant = (username: string, type: string, id: string, permission: string) =>
    owner.done('POST', `${v3}/users/permissions/grant`, {
      username,
      resource_type: type,
      resource_id: id,
      permission,
    })
  const denied = { status: 403, body: { error_code: 'PERMISSION_DENIED' } }

  it('lets who made an experiment do everything with it, and others read', async () => {
    const experimentId = await experimentOf(ben, "ben's")
    const runId = await runIn(ben, experimentId)
    expect((await eve.get(`${api}/runs/get`, { run_id: runId })).status).toBe(200)
    for (const [path, body] of [
      ['runs/create', { experiment_id: experimentId }],
      ['runs/log-metric', { run_id: runId, key: 'a', value: 1, timestamp: 1 }],
      ['runs/log-parameter', { run_id: runId, key: 'a', value: '1' }],
      ['runs/set-tag', { run_id: runId, key: 'a', value: '1' }],
      ['runs/log-batch', { run_id: runId, metrics: [] }],
      ['runs/update', { run_id: runId, status: 'FINISHED' }],
      ['runs/delete', { run_id: runId }],
      ['experiments/update', { experiment_id: experimentId, new_name: 'mine' }],
      ['experiments/set-experiment-tag', { experiment_id: experimentId, key: 'a', value: 'b' }],
      ['experiments/delete', { experiment_id: experimentId }],
      ['logged-models', { experiment_id: experimentId, name: 'm' }],
    ] as const) {
      expect(await eve.post(`${api}/${path}`, body), path).toMatchObject(denied)
      if (!path.endsWith('delete')) expect((await ben.post(`${api}/${path}`, body)).status, path).toBe(200)
    }
    expect((await ben.post(`${api}/runs/delete`, { run_id: runId })).status).toBe(200)
    expect(
      (await eve.post(`${api}/runs/log-metric`, { run_id: runId, key: 'a', value: 1, timestamp: 1 })).body.message,
    ).toBe(
      `Permission denied: eve has READ on experiment ${experimentId}, and update needs EDIT. Ask who may manage it, or an admin, for a permission.`,
    )
  })

  it('hides an experiment whole: itself, its runs, their metrics and artifacts, its models, in searches too', async () => {
    const experimentId = await experimentOf(ben, 'hidden')
    const runId = await runIn(ben, experimentId)
    await ben.done('POST', `${api}/runs/log-metric`, { run_id: runId, key: 'a', value: 1, timestamp: 1 })
    const { model } = await ben.done<{ model: { info: { model_id: string } } }>('POST', `${api}/logged-models`, {
      experiment_id: experimentId,
      name: 'm',
      source_run_id: runId,
    })
    const modelId = model.info.model_id
    const file = `/api/2.0/mlflow-artifacts/artifacts/${experimentId}/${runId}/artifacts/a.txt`
    await ben.done('PUT', file, 'hello')
    await grant('eve', 'experiment', experimentId, 'DENY')
    for (const [method, path, body] of [
      ['GET', `${api}/experiments/get`, { experiment_id: experimentId }],
      ['GET', `${api}/experiments/get-by-name`, { experiment_name: 'hidden' }],
      ['GET', `${api}/runs/get`, { run_id: runId }],
      ['GET', `${api}/metrics/get-history`, { run_id: runId, metric_key: 'a' }],
      ['GET', `/ajax-api/2.0/mlflow/metrics/get-history-bulk`, { run_id: runId, metric_key: 'a' }],
      ['GET', `${api}/metrics/get-history-bulk-interval`, { run_ids: runId, metric_key: 'a' }],
      ['GET', `${api}/artifacts/list`, { run_id: runId }],
      ['GET', '/get-artifact', { run_id: runId, path: 'a.txt' }],
      ['GET', file],
      ['GET', '/api/2.0/mlflow-artifacts/artifacts', { path: `${experimentId}/${runId}/artifacts` }],
      [
        'GET',
        '/api/2.0/mlflow-artifacts/artifacts',
        { path: `%${experimentId.charCodeAt(0).toString(16)}${experimentId.slice(1)}` },
      ],
      ['PUT', file, 'other'],
      ['DELETE', file],
      ['GET', `${api}/logged-models/${modelId}`],
      ['GET', `${api}/logged-models/${modelId}/artifacts/directories`],
      ['PATCH', `${api}/logged-models/${modelId}`, { status: 'LOGGED_MODEL_READY' }],
    ] as [string, string, unknown?][])
      expect(await eve.ask(method, path, body), `${method} ${path}`).toMatchObject(denied)

    const ids = (found: { experiments: { experiment_id: string }[] }) =>
      found.experiments.map((one) => one.experiment_id)
    expect(ids(await eve.done('POST', `${api}/experiments/search`, { max_results: 1000 }))).not.toContain(experimentId)
    expect(ids(await ben.done('POST', `${api}/experiments/search`, { max_results: 1000 }))).toContain(experimentId)
    for (const name of ['experiment_ids', 'experimentIds']) {
      expect(
        (await eve.done<{ runs: unknown[] }>('POST', `${api}/runs/search`, { [name]: [experimentId] })).runs,
      ).toEqual([])
      expect(
        (await ben.done<{ runs: unknown[] }>('POST', `${api}/runs/search`, { [name]: [experimentId] })).runs,
      ).toHaveLength(1)
    }
    expect(await eve.done('POST', `${api}/logged-models/search`, { experiment_ids: ['0', experimentId] })).toEqual({
      models: [],
    })
  })

  it('hides it from our own API as well', async () => {
    const app = createHttpApp({
      log: pino({ level: 'silent' }),
      loopback: true,
      allowedHosts: [],
      authenticate: (authorization) => server.access.authenticate(authorization),
    })
    const { permissions } = server.access
    mountEndpoints(app, [
      ...trackingEndpoints(server.tracking, permissions),
      ...registryEndpoints(server.registry, permissions),
    ])
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    const [benHere, eveHere] = [
      new Caller(url, basic('ben', 'a password of ben')),
      new Caller(url, basic('eve', 'a password of eve')),
    ]
    const experimentId = await experimentOf(ben, 'hidden here')
    const runId = await runIn(ben, experimentId)
    await ben.done('POST', `${api}/registered-models/create`, { name: 'hidden here' })
    await grant('eve', 'experiment', experimentId, 'DENY')
    await grant('eve', 'registered_model', 'hidden here', 'DENY')
    for (const path of [`/api/v1/runs/${runId}`, `/api/v1/runs/${runId}/metrics/a`, '/api/v1/models/hidden%20here']) {
      expect((await benHere.get(path)).status, path).toBe(200)
      expect((await eveHere.get(path)).status, path).toBe(403)
    }
    for (const path of [
      '/api/v1/experiments?limit=1000',
      `/api/v1/runs?experiment=${experimentId}`,
      '/api/v1/models?limit=1000',
    ]) {
      const told = path.startsWith('/api/v1/runs') ? runId : 'hidden here'
      expect(JSON.stringify((await benHere.get(path)).body), path).toContain(told)
      expect(JSON.stringify((await eveHere.get(path)).body), path).not.toContain(told)
    }
    await app.close()
  })

  it('pages through what may be read without gaps and without showing the rest', async () => {
    const names: string[] = []
    for (let n = 0; n < 9; n++) {
      const name = `paged ${n}`
      const id = await experimentOf(ben, name)
      if (n % 2 === 0) await grant('eve', 'experiment', id, 'DENY')
      else names.push(name)
    }
    const seen: string[] = []
    let page_token: string | undefined
    do {
      const page: { experiments: { name: string }[]; next_page_token?: string } = await eve.done(
        'POST',
        `${api}/experiments/search`,
        {
          max_results: 2,
          filter: "name LIKE 'paged%'",
          order_by: ['name ASC'],
          page_token,
        },
      )
      if (page.next_page_token) expect(page.experiments).toHaveLength(2)
      seen.push(...page.experiments.map((one) => one.name))
      page_token = page.next_page_token
    } while (page_token)
    expect(seen).toEqual(names)
  })

  it('guards registered models and prompts, each by permissions of its own kind, through renaming and deleting', async () => {
    const prompt = [{ key: 'mlflow.prompt.is_prompt', value: 'true' }]
    await ben.done('POST', `${api}/registered-models/create`, { name: 'guarded' })
    await ben.done('POST', `${api}/registered-models/create`, { name: 'asked', tags: prompt })
    expect(
      await eve.ask('PATCH', `${api}/registered-models/update`, { name: 'guarded', description: 'x' }),
    ).toMatchObject(denied)
    await grant('eve', 'registered_model', 'guarded', 'EDIT')
    await grant('eve', 'registered_model', 'asked', 'EDIT')
    expect(
      (await eve.ask('PATCH', `${api}/registered-models/update`, { name: 'guarded', description: 'x' })).status,
    ).toBe(200)
    expect(
      await eve.ask('PATCH', `${api}/registered-models/update`, { name: 'asked', description: 'x' }),
    ).toMatchObject(denied)
    expect(await eve.ask('DELETE', `${api}/registered-models/delete`, { name: 'guarded' })).toMatchObject(denied)
    await eve.done('POST', `${api}/registered-models/rename`, { name: 'guarded', new_name: 'renamed' })
    expect(
      (await eve.ask('PATCH', `${api}/registered-models/update`, { name: 'renamed', description: 'y' })).status,
    ).toBe(200)
    await ben.done('DELETE', `${api}/registered-models/delete`, { name: 'renamed' })
    await owner.done('POST', `${api}/registered-models/create`, { name: 'renamed' })
    expect(
      await eve.ask('PATCH', `${api}/registered-models/update`, { name: 'renamed', description: 'z' }),
    ).toMatchObject(denied)
    expect(
      await ben.ask('PATCH', `${api}/registered-models/update`, { name: 'renamed', description: 'z' }),
    ).toMatchObject(denied)

    await grant('eve', 'registered_model', 'renamed', 'DENY')
    await grant('eve', 'prompt', 'asked', 'DENY')
    const shown = async (who: Caller, filter?: string) =>
      (
        await who.done<{ registered_models: { name: string }[] }>(
          'GET',
          `${api}/registered-models/search`,
          filter ? { filter } : undefined,
        )
      ).registered_models.map((one) => one.name)
    expect(await shown(eve)).not.toContain('renamed')
    expect(await shown(ben)).toContain('renamed')
    const prompts = "tags.`mlflow.prompt.is_prompt` = 'true'"
    expect([await shown(eve, prompts), await shown(ben, prompts)]).toEqual([[], ['asked']])
  })

  it('hides traces, scorers, evaluation datasets and issues with their experiment', async () => {
    const experimentId = await experimentOf(ben, 'gen ai')
    const where = { experiment_id: experimentId }
    const { trace } = await ben.done<{ trace: { trace_info: { trace_id: string } } }>('POST', `${v3}/traces`, {
      trace: {
        trace_info: {
          trace_id: `tr-${'0'.repeat(31)}1`,
          trace_location: { type: 'MLFLOW_EXPERIMENT', mlflow_experiment: where },
          request_time: '2026-01-01T00:00:00Z',
          state: 'OK',
        },
      },
    })
    const traceId = trace.trace_info.trace_id
    const { dataset } = await ben.done<{ dataset: { dataset_id: string } }>('POST', `${v3}/datasets/create`, {
      name: 'd',
      experiment_ids: [experimentId],
    })
    const { issue } = await ben.done<{ issue: { issue_id: string } }>('POST', `${v3}/issues`, {
      ...where,
      name: 'i',
      description: 'd',
    })
    await ben.done('POST', `${v3}/scorers/register`, { ...where, name: 's', serialized_scorer: '{}' })
    const one = { ...where, name: 's' }
    expect(await eve.ask('DELETE', `${v3}/scorers/delete`, one)).toMatchObject(denied)
    expect((await eve.get(`${v3}/scorers/get`, one)).status).toBe(200)
    await grant('eve', 'experiment', experimentId, 'DENY')
    for (const [method, path, body] of [
      ['GET', `${v3}/traces/${traceId}`],
      ['GET', `${v3}/traces/get`, { trace_id: traceId }],
      ['PATCH', `${v3}/traces/${traceId}/tags`, { key: 'a', value: 'b' }],
      ['POST', `${v3}/traces/delete-traces`, { ...where, max_timestamp_millis: 1 }],
      ['GET', `${v3}/datasets/${dataset.dataset_id}`],
      ['GET', `${v3}/datasets/${dataset.dataset_id}/records`],
      ['DELETE', `${v3}/datasets/${dataset.dataset_id}`],
      ['POST', `${v3}/datasets/search`, { experiment_ids: [experimentId] }],
      ['POST', `${v3}/datasets/search`, {}],
      ['GET', `${v3}/issues/${issue.issue_id}`],
      ['POST', `${v3}/issues/search`, where],
      ['POST', `${v3}/issues/search`, {}],
      ['GET', `${v3}/scorers/get`, one],
      ['POST', `${v3}/scorers/register`, { ...one, serialized_scorer: '{}' }],
      ['GET', `${api}/webhooks`],
    ] as [string, string, unknown?][])
      expect(await eve.ask(method, path, body), `${method} ${path}`).toMatchObject(denied)
    const names = (found: { scorers: { scorer_name: string }[] }) => found.scorers.map((scorer) => scorer.scorer_name)
    expect(names(await eve.done('GET', `${v3}/scorers/list`))).not.toContain('s')
    expect(names(await ben.done('GET', `${v3}/scorers/list`))).toContain('s')
  })

  it('makes a version only of what may be read', async () => {
    const experimentId = await experimentOf(ben, 'source')
    const runId = await runIn(ben, experimentId)
    await grant('eve', 'experiment', experimentId, 'DENY')
    await eve.done('POST', `${api}/registered-models/create`, { name: 'taken' })
    const source = `mlflow-artifacts:/${experimentId}/${runId}/artifacts/m`
    expect(await eve.post(`${api}/model-versions/create`, { name: 'taken', source, run_id: runId })).toMatchObject(
      denied,
    )
    await ben.done('POST', `${api}/registered-models/create`, { name: 'copied' })
    await ben.done('POST', `${api}/model-versions/create`, { name: 'copied', source, run_id: runId })
    expect((await eve.post(`${api}/model-versions/create`, { name: 'taken', source: 'models:/copied/1' })).status).toBe(
      200,
    )
    await grant('eve', 'registered_model', 'copied', 'DENY')
    for (const spelling of ['models:/copied/1', 'models:///copied/1', 'models:////copied/1', 'MODELS://////copied/1'])
      expect((await eve.post(`${api}/model-versions/create`, { name: 'taken', source: spelling })).status).not.toBe(200)
    expect(await eve.post(`${api}/model-versions/create`, { name: 'taken', source: 'models:/copied/1' })).toMatchObject(
      denied,
    )
    expect(await eve.get('/model-versions/get-artifact', { name: 'copied', version: '1', path: 'm' })).toMatchObject(
      denied,
    )
  })

  it('puts no file into the folder of a run by way of an experiment that was made to lie inside it', async () => {
    const experimentId = await experimentOf(ben, 'outer')
    const runId = await runIn(ben, experimentId)
    await grant('eve', 'experiment', experimentId, 'DENY')
    const inner = await eve.done<{ experiment_id: string }>('POST', `${api}/experiments/create`, {
      name: 'inner',
      artifact_location: `mlflow-artifacts:/${experimentId}/${runId}/artifacts`,
    })
    const within = await runIn(eve, inner.experiment_id)
    const upload = `/ajax-api/2.0/mlflow/upload-artifact?run_uuid=${within}&path=planted.txt`
    expect(await eve.post(upload, { planted: true })).toMatchObject(denied)
    expect(await ben.done('GET', `${api}/artifacts/list`, { run_id: runId })).toMatchObject({ files: [] })
  })

  it('shows the addresses of webhooks, which are often secrets, to admins only', async () => {
    expect((await eve.get(`${api}/webhooks`)).status).toBe(403)
    for (const { route } of webhookEndpoints(server.webhooks)) expect(route.access).toBe('owner')
  })

  it('writes a metric to a logged model only for who may write the model', async () => {
    const { model } = await ben.done<{ model: { info: { model_id: string } } }>('POST', `${api}/logged-models`, {
      experiment_id: await experimentOf(ben, 'models'),
      name: 'm',
    })
    const runId = await runIn(eve, await experimentOf(eve, "eve's"))
    const metric = { key: 'a', value: 1, timestamp: 1, model_id: model.info.model_id }
    expect(await eve.post(`${api}/runs/log-metric`, { run_id: runId, ...metric })).toMatchObject(denied)
    expect(await eve.post(`${api}/runs/log-batch`, { run_id: runId, metrics: [metric] })).toMatchObject(denied)
    expect(
      await eve.post(`${api}/runs/outputs`, { run_id: runId, models: [{ model_id: model.info.model_id }] }),
    ).toMatchObject(denied)
  })

  it('cannot be talked past by a body that is read differently', async () => {
    const mine = await experimentOf(eve, 'talked past')
    const foreign = await experimentOf(ben, 'foreign')
    await grant('eve', 'experiment', foreign, 'DENY')
    const before = await ben.done<{ runs: unknown[] }>('POST', `${api}/runs/search`, { experiment_ids: [foreign, '0'] })
    for (const body of [
      { experiment_id: mine, experimentId: foreign },
      { experimentId: foreign },
      { user_id: {}, experiment_id: mine },
      { experiment_id: [foreign] },
    ])
      await eve.post(`${api}/runs/create`, body)
    const after = await ben.done<{ runs: unknown[] }>('POST', `${api}/runs/search`, { experiment_ids: [foreign, '0'] })
    expect(after.runs).toHaveLength(before.runs.length)
    const runId = await runIn(ben, foreign)
    const own = await runIn(eve, mine)
    for (const query of [`run_id=${own}&run_uuid=${runId}`, `run_id=${runId}&run_id=${own}`, `runId=${runId}`])
      expect(JSON.stringify((await eve.get(`${api}/runs/get?${query}`)).body)).not.toContain(
        foreign === '' ? '-' : `"experiment_id":"${foreign}"`,
      )
  })

  it('gives permissions only by who manages the thing, and on all things of a kind only by admins', async () => {
    const experimentId = await experimentOf(ben, 'given')
    const asked = { username: 'eve', resource_type: 'experiment', resource_id: experimentId, permission: 'EDIT' }
    expect(await eve.post(`${v3}/users/permissions/grant`, asked)).toMatchObject(denied)
    expect((await ben.post(`${v3}/users/permissions/grant`, asked)).status).toBe(200)
    await runIn(eve, experimentId)
    expect(await ben.post(`${v3}/users/permissions/grant`, { ...asked, resource_id: '*' })).toMatchObject(denied)
    expect(await nobody.post(`${v3}/users/permissions/grant`, asked)).toMatchObject({
      status: 401,
      body: { error_code: 'UNAUTHENTICATED' },
    })
  })

  it('answers the clients before 3.12 in their forms', async () => {
    const experimentId = await experimentOf(ben, 'older')
    const path = `${api}/experiments/permissions`
    const { user } = await ben.done<{ user: { id: number } }>('GET', `${api}/users/current`)
    const asked = { experiment_id: experimentId, username: 'eve' }
    const made = await ben.done<{ experiment_permission: unknown }>('POST', `${path}/create`, {
      ...asked,
      permission: 'NO_PERMISSIONS',
    })
    expect(made.experiment_permission).toEqual({
      experiment_id: experimentId,
      user_id: user.id + 1,
      permission: 'NO_PERMISSIONS',
    })
    expect(await ben.post(`${path}/create`, { ...asked, permission: 'READ' })).toMatchObject({
      status: 400,
      body: {
        error_code: 'RESOURCE_ALREADY_EXISTS',
        message: `Experiment permission (experiment_id=${experimentId}, username=eve) already exists.`,
      },
    })
    expect(await eve.get(`${api}/experiments/get`, { experiment_id: experimentId })).toMatchObject(denied)
    await ben.done('PATCH', `${path}/update`, { ...asked, permission: 'READ' })
    expect((await eve.get(`${api}/experiments/get`, { experiment_id: experimentId })).status).toBe(200)
    await ben.done('DELETE', `${path}/delete`, asked)
    expect(await ben.get(`${path}/get`, asked)).toMatchObject({
      status: 404,
      body: { message: `Experiment permission with experiment_id=${experimentId} and username=eve not found` },
    })
    await ben.done('POST', `${api}/registered-models/create`, { name: 'older' })
    expect(
      await ben.done('POST', `${api}/registered-models/permissions/create`, {
        name: 'older',
        username: 'eve',
        permission: 'EDIT',
      }),
    ).toEqual({
      registered_model_permission: { workspace: 'default', name: 'older', user_id: user.id + 1, permission: 'EDIT' },
    })
    const scorer = { experiment_id: experimentId, scorer_name: 'a/b c', username: 'eve' }
    await owner.done('POST', `${v3}/scorers/permissions/create`, { ...scorer, permission: 'MANAGE' })
    expect(await owner.done('GET', `${v3}/scorers/permissions/get`, scorer)).toEqual({
      scorer_permission: {
        experiment_id: experimentId,
        scorer_name: 'a/b c',
        user_id: user.id + 1,
        permission: 'MANAGE',
      },
    })
    const { user: read } = await eve.done<{ user: Record<string, { permission: string }[]> }>(
      'GET',
      `${api}/users/get`,
      { username: 'eve' },
    )
    expect(read.registered_model_permissions).toContainEqual({
      workspace: 'default',
      name: 'older',
      user_id: user.id + 1,
      permission: 'EDIT',
    })
  })

  it.each([
    [
      { resource_type: 'nonsense' },
      400,
      /^Invalid resource type 'nonsense'. Valid resource types are: \('assessment', /,
    ],
    [{ resource_type: 'workspace' }, 400, /^resource_type 'workspace' is not supported by the per-user/],
    [{ resource_type: 'run' }, 501, /^Permissions on resource_type 'run' are not supported/],
    [{ resource_type: 'scorer' }, 400, /^Invalid scorer resource_id/],
    [
      { permission: 'ALL' },
      400,
      /^Invalid permission 'ALL'. Valid permissions are: \('READ', 'USE', 'EDIT', 'MANAGE', 'NO_PERMISSIONS', 'DENY'\)$/,
    ],
    [{ permission: 'NO_PERMISSIONS' }, 400, /^Invalid permission 'NO_PERMISSIONS' for resource_type='experiment'/],
    [{ username: 'nobody' }, 404, /^User with username=nobody not found$/],
    [{ username: '' }, 400, /^Missing value for required parameter 'username'/],
  ])('refuses a permission with %j', async (odd, status, message) => {
    const asked = { username: 'eve', resource_type: 'experiment', resource_id: '9', permission: 'EDIT', ...odd }
    const answer = await owner.post(`${v3}/users/permissions/grant`, asked)
    expect(answer).toMatchObject({ status, body: { message: expect.stringMatching(message) } })
  })

  it('keeps everything open on loopback for who shows nothing, except users and permissions', async () => {
    const experimentId = await experimentOf(ben, 'on loopback')
    await runIn(nobody, experimentId)
    for (const [method, path] of [
      ['GET', `${api}/users/current`],
      ['GET', `${api}/users/list`],
      ['GET', `${api}/users/get?username=ben`],
      ['POST', `${api}/users/create`],
      ['DELETE', `${api}/users/delete`],
    ] as const)
      expect(await nobody.ask(method, path, method === 'GET' ? undefined : {}), path).toMatchObject({
        status: 401,
        body: { error_code: 'UNAUTHENTICATED', message: expect.stringMatching(/^You are not authenticated\./) },
      })
  })

  it('refuses wrong passwords and unknown tokens instead of treating them as nobody', async () => {
    for (const header of [
      basic('ben', 'not the password'),
      basic('ben', ''),
      'Bearer nothing',
      'Digest username="ben"',
      'Basic %%%',
      `Basic ${Buffer.from('a\0b:c').toString('base64')}`,
    ])
      expect(await new Caller(server.url, header).get(`${api}/experiments/search`), header).toMatchObject({
        status: 401,
        body: { error_code: 'UNAUTHENTICATED' },
      })
  })

  it('closes every route to users who are no admins until somebody said what it needs', () => {
    const mounted = server.routes.filter((route) => !/^(HEAD|OPTIONS) /.test(route))
    const unsaid = mounted.filter((route) => {
      const [method, url] = route.split(' ') as [string, string]
      return !isGuarded(method, url)
    })
    expect(unsaid.filter((route) => !adminsRoutes.test(route))).toEqual([])
  })

  it('answers a workspace as a server without workspaces does', async () => {
    const response = await fetch(`${server.url}${api}/experiments/search`, {
      headers: { 'x-mlflow-workspace': 'team' },
    })
    expect([response.status, await response.json()]).toEqual([
      501,
      {
        error_code: 'FEATURE_DISABLED',
        message: 'Workspace APIs are not available: workspaces are not enabled on this server',
      },
    ])
    const info = await fetch(`${server.url}${v3}/server-info`, { headers: { 'x-mlflow-workspace': 'team' } })
    expect(info.status).toBe(200)
  })

  it.each(['roles/create', 'roles/list', 'users/roles/list', 'workspaces'])(
    'says that %s is not carried out',
    async (path) => {
      expect((await owner.get(`${v3}/${path}`)).body.error_code).toBe('NOT_IMPLEMENTED')
    },
  )
})

/** What concerns the whole server. */
const adminsRoutes = /\/mlflow\/webhooks(\/|$)/

describe('a server that requires a login', () => {
  let server: MlflowServer
  let ben: Caller

  beforeAll(async () => {
    const started = await withUsers(databases[0]!, {
      door: { requireLogin: true },
      access: { defaultPermission: 'NO_PERMISSIONS' },
    })
    server = started.server
    ben = await started.user('ben')
  })
  afterAll(() => server?.close())

  it('lets nobody in without one, but says what it can', async () => {
    const nobody = new Caller(server.url)
    expect(await nobody.get(`${api}/experiments/search`)).toMatchObject({
      status: 401,
      body: { error_code: 'UNAUTHENTICATED', message: expect.stringMatching(/^You are not authenticated\./) },
    })
    expect((await nobody.get(`${v3}/server-info`)).status).toBe(200)
  })

  it('shows a user without permissions only what is theirs', async () => {
    await new Caller(server.url, `Bearer ${server.ownerToken}`).done('POST', `${api}/experiments/create`, {
      name: 'other',
    })
    await ben.done('POST', `${api}/experiments/create`, { name: 'own' })
    const found = await ben.done<{ experiments: { name: string }[] }>('POST', `${api}/experiments/search`, {})
    expect(found.experiments.map((one) => one.name)).toEqual(['own'])
  })
})

describe('the real AuthServiceClient and mlflow client', () => {
  if (!python) return it.skip('needs MODELWRIGHT_TEST_PYTHON')
  let server: MlflowServer
  let session: PythonSession

  beforeAll(async () => {
    const started = await withUsers(databases[0]!, { door: { requireLogin: true } })
    server = started.server
    await started.owner.done('POST', `${api}/users/create`, { username: 'admin', password: 'password of admin' })
    await started.owner.done('PATCH', `${api}/users/update-admin`, { username: 'admin', is_admin: true })
    session = new PythonSession(python, {
      MLFLOW_TRACKING_URI: server.url,
    })
    await session.run(`
      import contextlib, os, sys, types
      # The server half of mlflow's auth app needs Flask-WTF; the client half, which is what is tried, is in the same package.
      sys.modules.setdefault('flask_wtf', types.ModuleType('flask_wtf'))
      sys.modules.setdefault('flask_wtf.csrf', types.ModuleType('flask_wtf.csrf')).CSRFProtect = object
      import mlflow
      from mlflow import MlflowClient
      from mlflow.server.auth.client import AuthServiceClient
      client = MlflowClient()
      auth = AuthServiceClient(os.environ['MLFLOW_TRACKING_URI'])
      @contextlib.contextmanager
      def user(name, password=None, token=None):
          given = {'MLFLOW_TRACKING_TOKEN': token} if token else {'MLFLOW_TRACKING_USERNAME': name, 'MLFLOW_TRACKING_PASSWORD': password or 'password of ' + name}
          os.environ.update(given)
          try:
              yield
          finally:
              for key in given:
                  del os.environ[key]
    `)
  })
  afterAll(async () => {
    await session?.end()
    await server?.close()
  })

  it('makes, reads, changes and removes users', async () => {
    const seen = await session.run(`
      with user('admin'):
          made = auth.create_user('una', 'password of una')
          read = auth.get_user('una')
          auth.update_user_admin('una', True)
          raised = auth.get_user('una').is_admin
          auth.update_user_admin('una', False)
          auth.update_user_password('una', 'another of una')
      with user('una', 'another of una'):
          auth.update_user_password('una', 'password of una', current_password='another of una')
      with user('una'):
          own = auth.get_user('una').username
      with user('admin'):
          auth.create_user('gone', 'password of gone')
          auth.delete_user('gone')
      result = [made.username, made.is_admin, read.id == made.id, raised, own]
    `)
    expect(seen).toEqual(['una', false, true, true, 'una'])
  })

  it.each([
    ["auth.create_user('x', 'password of x')", undefined, 'You are not authenticated.', 'UNAUTHENTICATED'],
    ["auth.create_user('x', 'password of x')", 'una', 'Permission denied', 'PERMISSION_DENIED'],
    ["auth.get_user('admin')", 'una', 'Permission denied', 'PERMISSION_DENIED'],
    ["auth.delete_user('admin')", 'una', 'Permission denied', 'PERMISSION_DENIED'],
    ["auth.update_user_admin('una', True)", 'una', 'Permission denied', 'PERMISSION_DENIED'],
    ["auth.update_user_password('admin', 'password of eve')", 'una', 'Permission denied', 'PERMISSION_DENIED'],
    [
      "auth.update_user_password('una', 'password of eve')",
      'una',
      'Current password is required when changing',
      'INVALID_PARAMETER_VALUE',
    ],
    [
      "auth.update_user_password('una', 'password of eve', 'wrong')",
      'una',
      'Current password does not match.',
      'INVALID_PARAMETER_VALUE',
    ],
    [
      "auth.create_user('una', 'password of una')",
      'admin',
      'User (username=una) already exists.',
      'RESOURCE_ALREADY_EXISTS',
    ],
    ["auth.create_user('x', 'short')", 'admin', 'Password must be at least 12 characters.', 'INVALID_PARAMETER_VALUE'],
    ["auth.get_user('nobody')", 'admin', 'User with username=nobody not found', 'RESOURCE_DOES_NOT_EXIST'],
    ["auth.delete_user('admin')", 'admin', 'Users cannot delete their own account.', 'BAD_REQUEST'],
    ["auth.create_role('default', 'r')", 'admin', 'is not supported yet', 'NOT_IMPLEMENTED'],
  ])('is refused: %s as %s', async (code, who, message, errorCode) => {
    const failure = await session.failure(who ? `with user('${who}'):\n          ${code}` : code)
    expect(failure.error).toContain(message)
    expect(failure.errorCode).toBe(errorCode)
  })

  it('gives a permission, checks it and takes it back, and the mlflow client feels it', async () => {
    const seen = await session.run(`
      with user('admin'):
          experiment = client.create_experiment('shared')
          states = [auth.get_user_permission('una', 'experiment', experiment).permission]
      def tries():
          with user('una'):
              try:
                  with mlflow.start_run(experiment_id=experiment) as run:
                      mlflow.log_metric('a', 1.0)
                      mlflow.log_text('hello', 'a.txt')
                  return client.get_metric_history(run.info.run_id, 'a')[0].value
              except Exception as error:
                  mlflow.end_run()
                  return getattr(error, 'error_code', str(error))
      outcomes = [tries()]
      with user('admin'):
          auth.grant_user_permission('una', 'experiment', experiment, 'EDIT')
          got = auth.get_user_permission('una', 'experiment', experiment)
          states.append([got.permission, got.allowed])
      outcomes.append(tries())
      with user('admin'):
          auth.revoke_user_permission('una', 'experiment', experiment)
      outcomes.append(tries())
      result = [states, outcomes]
    `)
    expect(seen).toEqual([
      ['READ', ['EDIT', true]],
      ['PERMISSION_DENIED', 1, 'PERMISSION_DENIED'],
    ])
  })

  it('knows a user by a token, as bearer and as password', async () => {
    const token = await server.access.users.issueToken({ kind: 'owner', name: 'owner' }, 'una', { name: 'laptop' })
    const seen = await session.run(`
      with user(None, token='${token}'):
          a = auth.get_user('una').username
          made = client.create_experiment('by token')
      with user('token', '${token}'):
          b = auth.get_user('una').username
          with mlflow.start_run(experiment_id=made):
              mlflow.log_param('a', 1)
      result = [a, b, len(a)]
    `)
    expect(seen).toEqual(['una', 'una', 3])
  })
})
