import { Agent } from 'node:http'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Db } from '../../../src/db/index.ts'
import { families } from '../../differential/differential.ts'
import { filter, type Grammar } from '../../differential/filters.ts'
import type { RandomValues } from '../../differential/random-values.ts'
import { type Call, World } from '../../differential/world.ts'
import { eachDatabase } from '../../support/databases.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'
import { rawRequest } from './raw-request.ts'

/** How many calls each test makes; `FUZZ_CALLS=20000 FUZZ_SEED=7` for a long run. */
const calls = Number(process.env.FUZZ_CALLS ?? 250)
const seed = Number(process.env.FUZZ_SEED ?? 1)
const limitMs = 300_000 + calls * 60

eachDatabase('MLflow’s API under fire', (database) => {
  let server: MlflowServer
  let world: World
  const agent = new Agent({ keepAlive: true })

  beforeAll(async () => {
    server = await startMlflowServer(database)
    world = await filledWorld(server)
  })
  afterAll(async () => {
    agent.destroy()
    await server.close()
  })

  /** Sends it and sees to what must hold for every answer. */
  const send = async (asked: Parameters<typeof rawRequest>[1]) => {
    const answer = await rawRequest(server.url, { agent, ...asked }).catch((error) => {
      throw new Error(
        `${asked.method} ${asked.path} ${JSON.stringify(asked.headers)} ${String(asked.body).slice(0, 300)}`,
        { cause: error },
      )
    })
    const told = () => `${asked.method} ${asked.path.slice(0, 500)} ${String(asked.body ?? '').slice(0, 1500)}`
    expect(answer.status === 501 ? 400 : answer.status, `${told()} → ${answer.body.slice(0, 500)}`).toBeLessThan(500)
    // Headers of more than 16 kB are refused by the HTTP parser, which knows nothing of MLflow.
    if (answer.status >= 400 && answer.status !== 431 && asked.method !== 'HEAD') expectErrorForm(answer.body, told)
    return answer
  }
  const sendCall = ({ method, path, body, query }: Call) => {
    const words = new URLSearchParams()
    for (const [name, value] of Object.entries(query ?? {})) for (const one of [value].flat()) words.append(name, one)
    const asked = words.size === 0 ? encodeURI(path) : `${encodeURI(path)}?${words}`
    const json = method === 'GET' ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    return send({ method, path: asked, ...json })
  }

  // Each of these once failed.
  it.each([
    ["tags.a LIKE '\\'", []],
    ["tags.note ILIKE 'A\\B%'", ['third']],
    ["tags.note LIKE '%!\\'", []],
    ['start_time > 1.5', ['second', 'third']],
    ["tags.note = '\ud800'", undefined],
  ])('searches runs with %s', async (filter, expected) => {
    const body = { experiment_ids: world.all('experiment'), order_by: ['start_time'], filter }
    const answer = await sendCall({ method: 'POST', path: '/api/2.0/mlflow/runs/search', body })
    const { runs } = JSON.parse(answer.body) as { runs?: { info: { run_name: string } }[] }
    expect(runs?.map(({ info }) => info.run_name)).toEqual(expected)
  })

  it(
    'takes or refuses every filter, order and token, and changes nothing by any',
    async () => {
      await server.tracking.settleMetrics()
      const before = await contentsOf(server.db)
      const tokens = await realTokens(sendCall, world)
      for (let index = 0; index < calls; index++) {
        const search = world.values.of(searches)
        await sendCall(
          search(
            {
              filter: randomFilter(world),
              orderBy: world.values.some(3, () => randomOrder(world)),
              token: world.values.maybe(0.4, () => brokenToken(world.values, tokens)),
            },
            world,
          ),
        )
      }
      await server.tracking.settleMetrics()
      expect(await contentsOf(server.db)).toEqual(before)
    },
    limitMs,
  )

  it(
    'takes or refuses every message, whatever stands where',
    async () => {
      const schema = await schemaOf(server.db)
      for (let index = 0; index < calls; index++) {
        const call = world.values.of(families).call(world)
        await sendCall({ ...call, body: call.body && (mutated(world.values, call.body, 0.12) as Call['body']) })
      }
      expect(await schemaOf(server.db)).toEqual(schema)
    },
    limitMs,
  )

  it(
    'answers every mounted route in MLflow’s form, whatever is sent to it',
    async () => {
      const routes = server.routes.filter((route) => /^\w+ \/(ajax-)?api\//.test(route) && !route.startsWith('HEAD'))
      expect(routes.length).toBeGreaterThan(200)
      const { values } = world
      for (let index = 0; index < calls; index++) {
        const [method = '', pattern = ''] = values.of(routes).split(' ')
        const path = pattern.replace(/:\w+|\*/g, () => encodeURIComponent(values.text()).slice(0, 2000))
        const query = values.chance(0.3) ? `?${values.of(oddQueries)}` : ''
        const { body, type } = oddBody(values)
        const headers = { 'content-type': type, ...values.of(oddHeaders) }
        await send({ method, path: path + query, headers, body })
      }
      expect((await send({ method: 'GET', path: '/api/2.0/mlflow/experiments/get?experiment_id=0' })).status).toBe(200)
    },
    limitMs,
  )

  it(
    'leads no spelling of a path outside',
    async () => {
      const runId = world.all('run')[0]!
      for (const spelling of traversals) {
        const encoded = encodeURIComponent(spelling)
        for (const path of [
          `/api/2.0/mlflow-artifacts/artifacts/${spelling}`,
          `/api/2.0/mlflow-artifacts/artifacts/0/${spelling}`,
          `/api/2.0/mlflow-artifacts/artifacts?path=${encoded}`,
          `/api/2.0/mlflow/artifacts/list?run_id=${runId}&path=${encoded}`,
          `/get-artifact?run_uuid=${runId}&path=${encoded}`,
          `/model-versions/get-artifact?name=a&version=1&path=${encoded}`,
          `/ajax-api/2.0/mlflow/get-trace-artifact?request_id=${world.all('trace')[0]}&path=${encoded}`,
        ]) {
          const answer = await send({ method: 'GET', path })
          expect(answer.body, path).not.toMatch(/root:x:0|modelwright"/)
        }
        const put = await rawRequest(server.url, {
          method: 'PUT',
          path: `/api/2.0/mlflow-artifacts/artifacts/${spelling}`,
          body: 'x',
          agent,
        })
        expect(put.status, spelling).toBeLessThan(500)
      }
    },
    limitMs,
  )
})

function expectErrorForm(body: string, told: () => string): void {
  let form: unknown
  try {
    form = JSON.parse(body)
  } catch {
    form = body
  }
  expect(form, told()).toMatchObject({ error_code: expect.stringMatching(/^[A-Z_]+$/), message: expect.any(String) })
}

async function filledWorld(server: MlflowServer): Promise<World> {
  const world = new World(seed)
  world.beginEpisode()
  const post = async (path: string, body: unknown): Promise<Record<string, never>> => {
    const response = await fetch(server.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    expect(response.status, `${path} ${await response.clone().text()}`).toBe(200)
    return (await response.json()) as Record<string, never>
  }
  for (const name of ['first', 'second']) {
    const { experiment_id } = await post('/api/2.0/mlflow/experiments/create', { name })
    world.add('experiment', experiment_id!)
  }
  const [experiment_id] = world.all('experiment')
  for (const [index, run_name] of ['first', 'second', 'third'].entries()) {
    const value = index + 1
    const { run } = await post('/api/2.0/mlflow/runs/create', { experiment_id, start_time: value, run_name })
    const { run_id } = (run as unknown as { info: { run_id: string } }).info
    world.add('run', run_id)
    await post('/api/2.0/mlflow/runs/log-batch', {
      run_id,
      metrics: [{ key: 'a', value, timestamp: value, step: 0 }],
      params: [{ key: 'a', value: String(value) }],
      tags: [
        { key: 'a', value: 'x' },
        { key: 'note', value: value === 3 ? 'a\\b!' : 'plain' },
      ],
    })
    const { model } = await post('/api/2.0/mlflow/logged-models', { experiment_id, name: 'm', source_run_id: run_id })
    world.add('loggedModel', (model as unknown as { info: { model_id: string } }).info.model_id)
    const trace_id = `tr-${String(value).padStart(32, '0')}`
    await post('/api/3.0/mlflow/traces', {
      trace: {
        trace_info: {
          trace_id,
          trace_location: { type: 'MLFLOW_EXPERIMENT', mlflow_experiment: { experiment_id } },
          request_time: new Date(value * 1e12).toISOString(),
          state: 'OK',
        },
      },
    })
    world.add('trace', trace_id)
    await post('/api/2.0/mlflow/registered-models/create', { name: `model ${value}` })
    await post('/api/2.0/mlflow/model-versions/create', { name: `model ${value}`, source: 's3://bucket/model' })
  }
  return world
}

type Asked = { filter: string; orderBy: string[]; token: string | undefined }
type Search = (asked: Asked, world: World) => Call

const searches: readonly Search[] = [
  ({ filter, orderBy, token }) => search('experiments', { filter, order_by: orderBy, page_token: token }),
  ({ filter, orderBy, token }, world) =>
    search('runs', {
      experiment_ids: world.all('experiment'),
      filter,
      order_by: orderBy,
      page_token: token,
      max_results: 2,
    }),
  ({ filter, orderBy, token }, world) =>
    search('logged-models', {
      experiment_ids: world.all('experiment'),
      filter,
      order_by: orderBy.map((field_name) => ({ field_name: field_name.split(' ')[0] })),
      page_token: token,
      max_results: 2,
    }),
  ({ filter, orderBy, token }) => listed('registered-models', { filter, order_by: orderBy, page_token: token ?? '' }),
  ({ filter, orderBy, token }) => listed('model-versions', { filter, order_by: orderBy, page_token: token ?? '' }),
  ({ filter, orderBy, token }, world) => ({
    method: 'POST',
    path: '/api/3.0/mlflow/traces/search',
    body: {
      locations: world.all('experiment').map((experiment_id) => ({ mlflow_experiment: { experiment_id } })),
      filter,
      order_by: orderBy,
      page_token: token,
      max_results: 2,
    },
  }),
  ({ filter }, world) => ({
    method: 'POST',
    path: '/api/3.0/mlflow/traces/calculate-filter-correlation',
    body: { experiment_ids: world.all('experiment'), filter_string1: filter, filter_string2: filter.slice(1) || 'x' },
  }),
  ({ filter, orderBy, token }, world) => ({
    method: 'POST',
    path: '/api/3.0/mlflow/datasets/search',
    body: { experiment_ids: world.all('experiment'), filter_string: filter, order_by: orderBy, page_token: token },
  }),
]

const search = (what: string, body: Record<string, unknown>): Call => ({
  method: 'POST',
  path: `/api/2.0/mlflow/${what}/search`,
  body,
})

/** A query of more than some kB is refused by the HTTP parser itself, which knows nothing of MLflow. */
const listed = (
  what: string,
  { filter, ...rest }: { filter: string; order_by: string[]; page_token: string },
): Call => ({
  method: 'GET',
  path: `/api/2.0/mlflow/${what}/search`,
  query: { filter: filter.slice(0, 1000), max_results: '2', ...rest },
})

const everything: Grammar = {
  numbers: ['metrics.a', 'start_time', 'creation_time', 'timestamp_ms', 'execution_time_ms', 'version_number', 'x.y'],
  texts: [
    'params.a',
    'tags.a',
    'tag.`b c`',
    'name',
    'attributes.run_name',
    'dataset.name',
    'trace.status',
    'feedback.a',
    'span.name',
    'source_path',
    'metadata.a',
    'trace.text',
    'expectation.b',
    'span.attributes.a',
  ],
  exact: ['run_id', 'dataset.digest', 'model_id', 'tags.a'],
  nullable: true,
}

function randomFilter(world: World): string {
  const { values } = world
  const text = filter(world, everything)
  const sort = values.below(20)
  if (sort < 6) return text
  if (sort < 14) return broken(values, text)
  if (sort < 16) return garbage(values, 1 + values.below(60))
  if (sort === 16) return values.of(["'", '"', '`', '(', 'NOT ', '(('] as const).repeat(values.of([2, 101, 10_000]))
  if (sort === 17) return Array.from({ length: values.of([5, 17, 25, 3000]) }, () => text).join(' AND ')
  if (sort === 18 && values.chance(0.5))
    return `trace.text RLIKE '${values.of(['(', '[', '*', '\\', '(?<a>', '(a+)+$', 'a{1,99999}', '\\p{X}'])}'`
  if (sort === 18)
    return `params.a = '${values.of(['%', "''", '\\', '_', 'ü', '\\%']).repeat(values.of([10, 50_000]))}'`
  return `params.a IN (${Array.from({ length: values.of([10, 3000]) }, (_, index) => `'${index}'`).join(values.of([',', ', ', ' ']))})`
}

function broken(values: RandomValues, text: string): string {
  let mended = text
  for (let count = 1 + values.below(4); count > 0; count--) {
    const at = values.below(mended.length + 1)
    const change = values.below(3)
    if (change === 0) mended = mended.slice(0, at) + mended.slice(at + 1 + values.below(4))
    else if (change === 1) mended = mended.slice(0, at) + garbage(values, 1 + values.below(3)) + mended.slice(at)
    else mended += mended.slice(at, at + 20)
  }
  return mended
}

const letters = [
  ...'abc._ \'"`()=!<>%\\;-/*,@#$\0\u0001\n\t\ud800é漢0123.eE+',
  ' AND ',
  ' OR ',
  ' IN ',
  ' IS NULL',
  'metrics.',
  '--',
  '/*',
  '::',
  '$1',
  '?',
  ':x',
  '{}',
]
const garbage = (values: RandomValues, length: number): string =>
  Array.from({ length }, () => values.of(letters)).join('')

const randomOrder = (world: World): string =>
  world.values.chance(0.5)
    ? world.values.of([
        'metrics.a DESC',
        'params.a',
        'tags.a ASC',
        'start_time',
        'name',
        'creation_time desc',
        'timestamp_ms',
      ])
    : garbage(world.values, 1 + world.values.below(12))

async function realTokens(sendCall: (call: Call) => Promise<{ body: string }>, world: World): Promise<string[]> {
  const tokens: string[] = []
  for (const search of searches) {
    const call = search({ filter: '', orderBy: [], token: undefined }, world)
    const one = call.body
      ? { ...call, body: { ...call.body, max_results: 1 } }
      : { ...call, query: { max_results: '1' } }
    const { next_page_token } = JSON.parse((await sendCall(one)).body) as { next_page_token?: string }
    if (next_page_token) tokens.push(next_page_token)
  }
  expect(tokens.length).toBeGreaterThan(3)
  return tokens
}

function brokenToken(values: RandomValues, tokens: readonly string[]): string {
  const token = values.of(tokens)
  const sort = values.below(4)
  if (sort === 0) return token
  if (sort === 1) return garbage(values, 1 + values.below(20))
  const bytes = Buffer.from(token)
  bytes[values.below(bytes.length)]! ^= 1 << values.below(7)
  if (sort === 2) return bytes.toString()
  const inner = Buffer.from(token, 'base64url')
  inner[values.below(inner.length)]! ^= 1 << values.below(8)
  return inner.toString('base64url')
}

/** Some nodes of it are replaced by something else. */
function mutated(values: RandomValues, node: unknown, share: number): unknown {
  if (values.chance(share))
    return values.chance(0.5) ? values.anything() : values.of([values.text(), values.number(), values.integer()])
  if (Array.isArray(node)) return node.map((inner: unknown) => mutated(values, inner, share))
  if (typeof node !== 'object' || node === null) return node
  return Object.fromEntries(Object.entries(node).map(([name, inner]) => [name, mutated(values, inner, share)]))
}

const oddQueries = [
  'a=1',
  'run_id=%00',
  'run_id=%ff',
  'run_id=%',
  'max_results=NaN',
  'max_results=-1&max_results=2',
  'experiment_id[]=1',
  '__proto__=1&constructor=2',
  `filter=${'x'.repeat(3000)}`,
  'page_token=%F0%9F%99%82',
  '&&==&=',
  'experiment_ids=1&experiment_ids=%27',
  'name=a&version=99999999999999999999',
  'path=..%2f..',
]

const oddHeaders: readonly Record<string, string>[] = [
  {},
  {},
  { authorization: 'Basic !!!' },
  { authorization: 'Bearer x' },
  { authorization: `Basic ${Buffer.from('user:').toString('base64')}` },
  { 'x-mlflow-workspace': 'a' },
  { 'x-mlflow-workspace': "'; --" },
  { accept: 'application/xml' },
  { 'content-encoding': 'gzip' },
  { range: 'bytes=5-1' },
  { 'if-none-match': '*', 'x-forwarded-for': "'; drop table runs" },
]

const deep = 100_000
const plainBodies: readonly (string | Buffer)[] = [
  '',
  ' ',
  'null',
  '1',
  '"{}"',
  '"x"',
  '[]',
  '{',
  '{"run_id": "a"',
  '{"run_id": "a", "run_id": "b"}',
  '{"__proto__": {"run_id": "x"}, "constructor": {"prototype": {"a": 1}}}',
  '{"name": NaN}',
  '{"name": "\\ud800"}',
  '{"name": "\\u0000"}',
  '[[[[]]]]',
  '[1e999]',
  '{"value": 1e999, "key": "a", "timestamp": 99999999999999999999999999}',
  `${'['.repeat(deep)}${']'.repeat(deep)}`,
  `${'{"a":'.repeat(deep)}1${'}'.repeat(deep)}`,
  `{"tags": ${'['.repeat(deep)}${']'.repeat(deep)}, "experiment_id": "0", "run_id": "x", "name": "n"}`,
  `{"trace": {"trace_info": ${'{"a":'.repeat(deep)}1${'}'.repeat(deep)}}}`,
  Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
  Buffer.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d]),
  Buffer.alloc(64),
  'a=1&b=2',
  '<xml/>',
]

function oddBody(values: RandomValues): { body: string | Buffer; type: string } {
  const type = values.of([
    'application/json',
    'application/json',
    'application/json',
    'text/plain',
    'application/x-protobuf',
    'multipart/form-data',
    'nonsense',
  ])
  if (values.chance(0.5)) return { body: values.of(plainBodies), type }
  const names = [
    'run_id',
    'experiment_id',
    'name',
    'key',
    'value',
    'tags',
    'params',
    'metrics',
    'version',
    'filter',
    'max_results',
    'trace_ids',
    'assessment',
    'records',
    'page_token',
    'username',
    'permission',
    'stage',
    'alias',
    'models',
    'datasets',
    'info',
    'status',
    'schedule',
    'events',
    'url',
  ]
  const message = Object.fromEntries(
    values.some(9, () => [values.of(names), values.chance(0.5) ? values.text() : values.anything()]),
  )
  const text = JSON.stringify(message)
  return { body: values.chance(0.1) ? text.slice(0, values.below(text.length)) : text, type }
}

const traversals = [
  '../../../../etc/passwd',
  '..%2f..%2f..%2fetc/passwd',
  '%2e%2e/%2e%2e/etc/passwd',
  '..%252f..%252fetc%252fpasswd',
  '%252e%252e/x',
  '..\\..\\etc\\passwd',
  '..%5c..%5cetc',
  '%2fetc%2fpasswd',
  '//etc/passwd',
  '/etc/passwd',
  'C:%5cwindows',
  'C:/windows',
  'a/../../x',
  'a/./../..',
  './..',
  '..',
  '.',
  '..;/x',
  '%00',
  'a%00.txt',
  '..%c0%af..%c0%afetc',
  '%uff0e%uff0e/x',
  'file:///etc/passwd',
  'file:%2f%2f%2fetc%2fpasswd',
  '~/x',
  '%',
  '%zz',
  'x%0d%0aSet-Cookie:a',
  `${'a/'.repeat(3000)}x`,
  'n'.repeat(9000),
]

/** Names of tables and columns; how many rows each has. */
async function contentsOf(db: Db): Promise<Record<string, unknown>> {
  const tables = await db.introspection.getTables()
  const counts: Record<string, unknown> = {}
  for (const { name } of tables) {
    const { rows } = await sql<{ n: number }>`select count(*) as n from ${sql.table(name)}`.execute(db)
    counts[name] = Number(rows[0]!.n)
  }
  return { schema: await schemaOf(db), counts }
}

const schemaOf = async (db: Db) =>
  (await db.introspection.getTables()).map(({ name, columns }) => [
    name,
    columns.map((column) => column.name).toSorted(),
  ])
