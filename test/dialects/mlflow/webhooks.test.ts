import { afterEach, beforeEach, expect, it } from 'vitest'
import { eachDatabase } from '../../support/databases.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'
import { startReceiver, type WebhookReceiver } from './webhook-receiver.ts'

type Body = Record<string, unknown> & {
  error_code?: string
  message?: string
  webhook?: Record<string, unknown> & { webhook_id: string }
  webhooks?: { webhook_id: string; name: string }[]
  next_page_token?: string
}

eachDatabase("MLflow's webhooks", (database) => {
  let server: MlflowServer
  let receiver: WebhookReceiver

  beforeEach(async () => {
    server = await startMlflowServer(database)
    receiver = await startReceiver()
  })
  afterEach(async () => {
    await receiver.close()
    await server.close()
  })

  async function call(method: string, path: string, body?: object, headers: Record<string, string> = {}) {
    const response = await fetch(`${server.url}/api/2.0/mlflow/${path}`, {
      method,
      headers: { ...headers, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    return { status: response.status, body: (await response.json()) as Body }
  }
  const event = { entity: 'REGISTERED_MODEL', action: 'CREATED' }
  const make = (more: object = {}) =>
    call('POST', 'webhooks', { name: 'hook', url: `${receiver.url}/hook`, events: [event], ...more })
  const messages = () => receiver.received.map(({ body }) => JSON.parse(body) as Record<string, unknown>)

  it('are answered in MLflow’s form, events by entity and action, without the secret', async () => {
    const { status, body } = await make({
      events: [
        { entity: 'PROMPT_ALIAS', action: 'DELETED' },
        { entity: 2, action: 1 },
        { entity: 'MODEL_VERSION', action: 'CREATED' },
      ],
      secret: 'hush',
      description: 'd',
      status: 'DISABLED',
    })
    expect(status).toBe(200)
    expect(body).toEqual({
      webhook: {
        webhook_id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
        name: 'hook',
        description: 'd',
        url: `${receiver.url}/hook`,
        events: [
          { entity: 'MODEL_VERSION', action: 'CREATED' },
          { entity: 'PROMPT_ALIAS', action: 'DELETED' },
        ],
        status: 'DISABLED',
        creation_timestamp: expect.any(Number) as number,
        last_updated_timestamp: expect.any(Number) as number,
      },
    })
    expect((await call('GET', `webhooks/${body.webhook!.webhook_id}`)).body).toEqual(body)
  })

  it.each<[object, string]>([
    [{ name: undefined }, "Missing value for required parameter 'name'."],
    [{ url: undefined }, "Missing value for required parameter 'url'."],
    [{ events: undefined }, "Missing value for required parameter 'events'."],
    [{ events: [] }, 'Webhook events must be a non-empty list of WebhookEvent objects: [].'],
    [{ events: 'x' }, 'Invalid value "x" for parameter \'events\' supplied'],
    [
      { events: [{ entity: 'MODEL_VERSION', action: 'UPDATED' }] },
      "Invalid action 'updated' for entity 'model_version'. Valid actions are: ['created']",
    ],
    [{ events: [{ entity: 'NOPE', action: 'CREATED' }] }, 'needs a known entity and action'],
    [{ name: '-w' }, "Webhook name '-w' is invalid."],
    [{ name: 5 }, "Invalid value 5 for parameter 'name' supplied"],
    [{ url: 'ftp://x' }, "Invalid webhook URL scheme: 'ftp'."],
    [{ url: 'https://' }, 'Webhook URL must include a hostname'],
    [{ description: '\0' }, 'U+0000'],
  ])('that say %o are refused', async (more, message) => {
    const { status, body } = await make(more)
    expect([status, body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE'])
    expect(body.message).toContain(message)
  })

  it('are listed newest first, page by page', async () => {
    for (const name of ['a', 'b', 'c']) await make({ name })
    const first = (await call('GET', 'webhooks?max_results=2')).body
    const second = (await call('GET', `webhooks?max_results=2&page_token=${first.next_page_token}`)).body
    expect([first, second].map(({ webhooks }) => webhooks?.map(({ name }) => name))).toEqual([['c', 'b'], ['a']])
    expect(second).not.toHaveProperty('next_page_token')
    for (const query of ['max_results=1001', 'max_results=-1', 'page_token=zzz'])
      expect((await call('GET', `webhooks?${query}`)).status, query).toBe(400)
  })

  it('are changed field by field, and gone when deleted', async () => {
    const { webhook } = (await make({ description: 'd' })).body
    const path = `webhooks/${webhook!.webhook_id}`
    const changed = await call('PATCH', path, { description: '', status: 'DISABLED', events: [] })
    const { description: _gone, ...kept } = webhook!
    expect(changed.body.webhook).toEqual({
      ...kept,
      status: 'DISABLED',
      last_updated_timestamp: expect.any(Number) as number,
    })
    expect((await call('PATCH', path, { url: 'https://' })).status).toBe(400)
    expect((await call('DELETE', path)).body).toEqual({})
    for (const [method, at] of [
      ['GET', path],
      ['DELETE', path],
      ['PATCH', path],
      ['POST', `${path}/test`],
    ] as const)
      expect((await call(method, at, method === 'GET' ? undefined : {})).body, method).toMatchObject({
        error_code: 'RESOURCE_DOES_NOT_EXIST',
        message: `Webhook with ID ${webhook!.webhook_id} not found.`,
      })
  })

  it('tell of everything that MLflow tells of, each in its own words', async () => {
    const all = {
      REGISTERED_MODEL: ['CREATED'],
      MODEL_VERSION: ['CREATED'],
      MODEL_VERSION_TAG: ['SET', 'DELETED'],
      MODEL_VERSION_ALIAS: ['CREATED', 'DELETED'],
      PROMPT: ['CREATED'],
      PROMPT_VERSION: ['CREATED'],
      PROMPT_TAG: ['SET', 'DELETED'],
      PROMPT_VERSION_TAG: ['SET', 'DELETED'],
      PROMPT_ALIAS: ['CREATED', 'DELETED'],
    }
    await make({
      events: Object.entries(all).flatMap(([entity, actions]) => actions.map((action) => ({ entity, action }))),
    })
    const prompt = { key: 'mlflow.prompt.is_prompt', value: 'true' }
    for (const [name, tags] of [
      ['m', []],
      ['p', [prompt]],
    ] as const) {
      await call('POST', 'registered-models/create', { name, tags })
      const source = name === 'm' ? 's3://b/p' : 'dummy-source'
      const text = name === 'm' ? [] : [{ key: 'mlflow.prompt.text', value: 'Hi {{x}}' }]
      await call('POST', 'model-versions/create', {
        name,
        source,
        run_id: name === 'm' ? 'abc' : undefined,
        tags: [...tags, ...text],
      })
      await call('POST', 'registered-models/set-tag', { name, key: 'k', value: 'v' })
      await call('DELETE', 'registered-models/delete-tag', { name, key: 'k' })
      await call('POST', 'model-versions/set-tag', { name, version: '1', key: 'k', value: 'v' })
      await call('DELETE', 'model-versions/delete-tag', { name, version: '1', key: 'k' })
      await call('POST', 'registered-models/alias', { name, alias: 'best', version: '1' })
      await call('DELETE', 'registered-models/alias', { name, alias: 'best' })
    }
    await server.deliverWebhooks()
    expect(messages().map(({ entity, action, data }) => [`${entity}.${action}`, data])).toEqual([
      ['registered_model.created', { name: 'm', tags: {}, description: '' }],
      [
        'model_version.created',
        { name: 'm', version: '1', source: 's3://b/p', run_id: 'abc', tags: {}, description: null },
      ],
      ['model_version_tag.set', { name: 'm', version: '1', key: 'k', value: 'v' }],
      ['model_version_tag.deleted', { name: 'm', version: '1', key: 'k' }],
      ['model_version_alias.created', { name: 'm', alias: 'best', version: '1' }],
      ['model_version_alias.deleted', { name: 'm', alias: 'best' }],
      ['prompt.created', { name: 'p', tags: {}, description: '' }],
      ['prompt_version.created', { name: 'p', version: '1', template: 'Hi {{x}}', tags: {}, description: null }],
      ['prompt_tag.set', { name: 'p', key: 'k', value: 'v' }],
      ['prompt_tag.deleted', { name: 'p', key: 'k' }],
      ['prompt_version_tag.set', { name: 'p', version: '1', key: 'k', value: 'v' }],
      ['prompt_version_tag.deleted', { name: 'p', version: '1', key: 'k' }],
      ['prompt_alias.created', { name: 'p', alias: 'best', version: '1' }],
      ['prompt_alias.deleted', { name: 'p', alias: 'best' }],
    ])
  })

  it('what was refused is told to nobody', async () => {
    await make()
    await call('POST', 'registered-models/create', { name: 'a/b' })
    await call('POST', 'registered-models/create', { name: 'm' })
    await call('POST', 'registered-models/create', { name: 'm' })
    await server.deliverWebhooks()
    expect(messages()).toHaveLength(1)
  })

  it('are tested with the example of the event that is asked for', async () => {
    const { webhook } = (await make()).body
    receiver.answer((response) => response.writeHead(401).end('who are you'))
    const path = `webhooks/${webhook!.webhook_id}/test`
    expect((await call('POST', path, { event: { entity: 'MODEL_VERSION_TAG', action: 'SET' } })).body).toEqual({
      result: { success: false, response_status: 401, response_body: 'who are you' },
    })
    expect(messages()).toMatchObject([
      { entity: 'model_version_tag', data: { name: 'example_model', key: 'example_key' } },
    ])
    expect((await call('POST', path, { event: { entity: 'MODEL_VERSION', action: 'SET' } })).status).toBe(400)
  })

  it('are not for the token of a step', async () => {
    const { webhook } = (await make()).body
    const step = { authorization: `Bearer ${server.stepToken('a'.repeat(32))}` }
    const path = `webhooks/${webhook!.webhook_id}`
    for (const [method, at] of [
      ['POST', 'webhooks'],
      ['PATCH', path],
      ['DELETE', path],
      ['POST', `${path}/test`],
    ] as const)
      expect((await call(method, at, { name: 'x', url: receiver.url, events: [event] }, step)).status, method).toBe(403)
  })
})
