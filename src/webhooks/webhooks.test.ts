import { createHmac } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { SecretBox } from '../access/index.ts'
import { type Db, Dispatcher, subscribe } from '../db/index.ts'
import { RegistryService } from '../registry/index.ts'
import { deliveryStore } from './delivery-store.ts'
import { DeliveryEngine, toldEvents, type WebhookEvent, WebhooksService } from './index.ts'

type Received = { path: string; headers: IncomingHttpHeaders; body: string }
const created: WebhookEvent = { entity: 'registered_model', action: 'created' }

eachDatabase('webhooks', (database) => {
  let db: Db
  let registry: RegistryService
  let webhooks: WebhooksService
  let engine: DeliveryEngine
  let receiver: Server
  let url: string
  let received: Received[]
  let answer: (request: Received, response: ServerResponse) => void
  let now: number
  const clock = { now: () => now, sleep: async () => {} }
  const log = { error: (details: object) => expect.fail(JSON.stringify(details)) }
  const secrets = new SecretBox(Buffer.alloc(32, 7))

  const service = (policy = { schemes: ['http'], allowPrivate: true }) =>
    new WebhooksService({ db, clock, secrets, policy })
  const engineWith = (allowPrivate: boolean) =>
    new DeliveryEngine({ db, clock, log, secrets, allowPrivate, chance: () => 0 })

  beforeEach(async () => {
    db = await database.open()
    now = 1_760_000_000_000
    registry = new RegistryService({ db, clock })
    webhooks = service()
    engine = engineWith(true)
    received = []
    answer = (_request, response) => response.end('fine')
    receiver = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => {
        const seen = { path: request.url ?? '', headers: request.headers, body }
        received.push(seen)
        answer(seen, response)
      })
    })
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`
  })
  afterEach(async () => {
    receiver.closeAllConnections()
    receiver.close()
    await engine.idle()
    await db.destroy()
  })

  const hook = (path = '/hook', more: { secret?: string; name?: string; events?: WebhookEvent[] } = {}) =>
    webhooks.create({ name: 'hook', url: url + path, events: [created], ...more })
  const tell = () => {
    const subscription = subscribe('webhooks', toldEvents, (event) => webhooks.onEvent(event))
    return new Dispatcher({ db, clock, log }).deliverTo(subscription, new AbortController().signal)
  }
  const send = async (by = engine) => {
    await by.pass(new AbortController().signal)
    await by.idle()
  }
  const logOf = async (webhookId: string) => (await webhooks.deliveries(webhookId, { limit: 100 })).items

  it('sends what happened, signed as MLflow signs', async () => {
    const { webhookId } = await hook('/hook', { secret: 'hush' })
    await registry.createModel({ name: 'clf', description: 'd', tags: [{ key: 'k', value: 'ü' }] })
    await tell()
    now += 5_000
    await send()
    expect(received).toHaveLength(1)
    const { headers, body, path } = received[0]!
    expect(path).toBe('/hook')
    expect(JSON.parse(body)).toEqual({
      entity: 'registered_model',
      action: 'created',
      timestamp: '2025-10-09T08:53:20.000+00:00',
      data: { name: 'clf', description: 'd', tags: { k: 'ü' } },
    })
    expect(headers['content-type']).toBe('application/json')
    expect(headers['x-mlflow-timestamp']).toBe('1760000005')
    const signed = `${String(headers['x-mlflow-delivery-id'])}.1760000005.${body}`
    expect(headers['x-mlflow-signature']).toBe(`v1,${createHmac('sha256', 'hush').update(signed).digest('base64')}`)
    expect(await logOf(webhookId)).toEqual([
      expect.objectContaining({
        ...created,
        deliveryId: headers['x-mlflow-delivery-id'],
        state: 'delivered',
        attempts: 1,
        responseStatus: 200,
        error: undefined,
        endedAt: now,
      }),
    ])
  })

  it('tries again under the same id with a new signature until it is taken', async () => {
    const { webhookId } = await hook('/hook', { secret: 'hush' })
    const answers = [503, 429, 200]
    answer = (_request, response) => {
      const status = answers[received.length - 1]!
      response.writeHead(status, status === 429 ? { 'retry-after': '30' } : {}).end('busy')
    }
    await registry.createModel({ name: 'clf' })
    await tell()
    await send()
    expect(await logOf(webhookId)).toMatchObject([
      { state: 'waiting', attempts: 1, error: 'The receiver answered 503: busy', nextAttemptAt: now + 1_000 },
    ])
    now += 999
    await send()
    expect(received).toHaveLength(1)
    now += 1
    await send()
    expect(await logOf(webhookId)).toMatchObject([{ attempts: 2, nextAttemptAt: now + 30_000 }])
    now += 30_000
    await send()
    expect(await logOf(webhookId)).toMatchObject([{ state: 'delivered', attempts: 3, error: undefined }])
    const of = (header: string) => received.map((request) => request.headers[header])
    expect(new Set(of('x-mlflow-delivery-id')).size).toBe(1)
    expect(new Set(of('x-mlflow-signature')).size).toBe(3)
    expect(new Set(received.map((request) => request.body)).size).toBe(1)
  })

  it('a receiver that hangs delays no other', async () => {
    const held: ServerResponse[] = []
    answer = (request, response) => {
      if (request.path === '/slow') held.push(response)
      else response.end()
    }
    const slow = await hook('/slow', { name: 'slow' })
    const fast = await hook('/fast', { name: 'fast' })
    for (const name of ['a', 'b', 'c']) await registry.createModel({ name })
    await tell()
    await engine.pass(new AbortController().signal)
    await expect.poll(() => received.filter((request) => request.path === '/fast').length).toBe(3)
    expect(await logOf(slow.webhookId)).toMatchObject([{ attempts: 0 }, { attempts: 0 }, { attempts: 1 }])
    await expect.poll(async () => (await logOf(fast.webhookId)).every(({ state }) => state === 'delivered')).toBe(true)
    answer = (_request, response) => response.end()
    for (const response of held) response.end()
    await engine.idle()
    expect((await logOf(slow.webhookId)).map(({ state }) => state)).toEqual(['delivered', 'delivered', 'delivered'])
  })

  it('tells one webhook in the order in which things happened', async () => {
    await hook()
    for (const name of ['a', 'b', 'c', 'd']) await registry.createModel({ name })
    await tell()
    await send()
    const names = received.map(({ body }) => (JSON.parse(body) as { data: { name: string } }).data.name)
    expect(names).toEqual(['a', 'b', 'c', 'd'])
  })

  it('sends again what a killed server was about to send', async () => {
    const { webhookId } = await hook()
    await registry.createModel({ name: 'clf' })
    await tell()
    // What a server does before it sends, and then is gone.
    const taken = await deliveryStore.take(db, webhookId, now, now + 40_000)
    await send(engineWith(true))
    expect(received).toEqual([])
    now += 40_000
    await send(engineWith(true))
    expect(received.map(({ headers }) => headers['x-mlflow-delivery-id'])).toEqual([taken?.delivery_id])
  })

  it('an attempt that the stopping server itself broke off does not count', async () => {
    answer = () => {}
    const { webhookId } = await hook()
    await registry.createModel({ name: 'clf' })
    await tell()
    const stopping = new AbortController()
    await engine.pass(stopping.signal)
    await expect.poll(() => received.length).toBe(1)
    stopping.abort()
    await engine.idle()
    expect(await logOf(webhookId)).toMatchObject([{ state: 'waiting', attempts: 0, nextAttemptAt: now }])
  })

  it('two servers never send the same attempt', async () => {
    await hook()
    for (let i = 0; i < 20; i++) await registry.createModel({ name: `m${i}` })
    await tell()
    await Promise.all([send(engineWith(true)), send(engineWith(true)), send()])
    expect(received).toHaveLength(20)
    expect(new Set(received.map(({ headers }) => headers['x-mlflow-delivery-id'])).size).toBe(20)
  })

  it('an event that comes twice is delivered once', async () => {
    await hook()
    await registry.createModel({ name: 'clf' })
    await tell()
    await db.deleteFrom('consumers').execute()
    await tell()
    await send()
    expect(received).toHaveLength(1)
  })

  it('tells only who was there, is active and wants to know', async () => {
    await registry.createModel({ name: 'before' })
    now += 1
    await hook('/wants')
    await hook('/other', { events: [{ entity: 'model_version', action: 'created' }] })
    const disabled = await hook('/disabled')
    const deleted = await hook('/deleted')
    await webhooks.update(disabled.webhookId, { status: 'DISABLED' })
    await registry.createModel({ name: 'after' })
    await tell()
    await webhooks.delete(deleted.webhookId)
    await send()
    expect(
      received.map(({ path, body }) => `${path} ${(JSON.parse(body) as { data: { name: string } }).data.name}`),
    ).toEqual(['/wants after'])
  })

  it('what waits for a webhook that is disabled meanwhile is not sent', async () => {
    const { webhookId } = await hook()
    await registry.createModel({ name: 'clf' })
    await tell()
    await webhooks.update(webhookId, { status: 'DISABLED' })
    await send()
    expect(received).toEqual([])
    expect(await logOf(webhookId)).toMatchObject([
      { state: 'failed', error: 'The webhook was disabled before this was delivered.' },
    ])
  })

  it('follows no redirect', async () => {
    answer = (_request, response) => response.writeHead(307, { location: `${url}/elsewhere` }).end()
    const { webhookId } = await hook()
    await registry.createModel({ name: 'clf' })
    await tell()
    await send()
    expect(received.map(({ path }) => path)).toEqual(['/hook'])
    expect(await logOf(webhookId)).toMatchObject([{ state: 'failed', responseStatus: 307 }])
  })

  it('connects to private addresses, in whatever spelling, only where they are allowed', async () => {
    const strict = service({ schemes: ['http'], allowPrivate: false })
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1']) {
      const inner = url.replace('127.0.0.1', host)
      await expect(strict.create({ name: 'w', url: inner, events: [created] }), host).rejects.toThrow('non-public')
      // Made while it was allowed, or by a name that leads elsewhere by now.
      const { webhookId } = await webhooks.create({ name: 'inner', url: inner, events: [created] })
      const result = await strict.test(webhookId)
      expect(result.error, host).toContain('must not resolve to a non-public IP address')
    }
    await registry.createModel({ name: 'clf' })
    await tell()
    await send(engineWith(false))
    expect(received).toEqual([])
    for (const { webhookId } of (await webhooks.webhooks({ limit: 10 })).items)
      expect(await logOf(webhookId)).toMatchObject([{ state: 'failed', attempts: 1 }])
  })

  it('a name that nobody can look up makes a webhook all the same, and its deliveries wait', async () => {
    const strict = service({ schemes: ['https'], allowPrivate: false })
    const { webhookId } = await strict.create({ name: 'w', url: 'https://receiver.invalid/x', events: [created] })
    await registry.createModel({ name: 'clf' })
    await tell()
    await send(engineWith(false))
    expect(await logOf(webhookId)).toMatchObject([{ state: 'waiting', attempts: 1 }])
  })

  it('keeps secrets sealed, and tells them to nobody', async () => {
    const made = await hook('/hook', { secret: 'very secret' })
    expect(
      JSON.stringify([made, await webhooks.webhook(made.webhookId), await webhooks.webhooks({ limit: 10 })]),
    ).not.toContain('secret')
    const { rows } = await sql<{ secret: string }>`select * from webhooks`.execute(db)
    expect(JSON.stringify(rows)).not.toContain('very secret')
    await webhooks.update(made.webhookId, { secret: '' })
    await registry.createModel({ name: 'clf' })
    await tell()
    await send()
    expect(received[0]!.headers).not.toHaveProperty('x-mlflow-signature')
  })

  it('with another key the delivery fails and says what to do, others go on', async () => {
    const sealed = await hook('/sealed', { secret: 's' })
    await hook('/open')
    await registry.createModel({ name: 'clf' })
    await tell()
    const other = new SecretBox(Buffer.alloc(32, 8))
    await send(new DeliveryEngine({ db, clock, log, secrets: other, allowPrivate: true, chance: () => 0 }))
    expect(received.map(({ path }) => path)).toEqual(['/open'])
    expect(await logOf(sealed.webhookId)).toMatchObject([
      { state: 'failed', error: 'A stored secret cannot be opened with the key of this server.' },
    ])
  })

  it('an answer without end is cut off', async () => {
    answer = (_request, response) => {
      const pour = () => {
        while (!response.destroyed && response.write('x'.repeat(64 * 1024)));
      }
      response.writeHead(500).on('drain', pour)
      pour()
    }
    const { webhookId } = await hook()
    expect((await webhooks.test(webhookId)).responseBody?.length).toBe(64 * 1024)
  })

  it('a test sends the example of the event and tells what came back', async () => {
    const { webhookId } = await hook('/hook', { events: [created, { entity: 'prompt_tag', action: 'set' }] })
    expect(await webhooks.test(webhookId, { entity: 'prompt_tag', action: 'set' })).toEqual({
      success: true,
      responseStatus: 200,
      responseBody: 'fine',
    })
    expect(JSON.parse(received[0]!.body)).toMatchObject({
      entity: 'prompt_tag',
      action: 'set',
      data: { name: 'example_prompt', key: 'example_key', value: 'example_value' },
    })
    answer = (_request, response) => response.writeHead(404).end('nobody')
    expect(await webhooks.test(webhookId)).toEqual({ success: false, responseStatus: 404, responseBody: 'nobody' })
    receiver.close()
    receiver.closeAllConnections()
    const { success, error } = await webhooks.test(webhookId)
    expect([success, error]).toEqual([false, expect.stringMatching(/^Failed to test webhook: .*ECONNREFUSED/)])
  })

  it('lists webhooks and deliveries page by page, newest first', async () => {
    const ids: string[] = []
    for (const name of ['a', 'b', 'c']) {
      ids.push((await hook('/hook', { name })).webhookId)
      now++
    }
    const first = await webhooks.webhooks({ limit: 2 })
    const second = await webhooks.webhooks({ limit: 2, pageToken: first.nextPageToken })
    expect([...first.items, ...second.items].map(({ webhookId }) => webhookId)).toEqual(ids.toReversed())
    expect(second.nextPageToken).toBeUndefined()
    for (const name of ['x', 'y', 'z']) await registry.createModel({ name })
    await tell()
    const page = await webhooks.deliveries(ids[0]!, { limit: 2 })
    const rest = await webhooks.deliveries(ids[0]!, { limit: 2, pageToken: page.nextPageToken })
    expect([page.items.length, rest.items.length, rest.nextPageToken]).toEqual([2, 1, undefined])
    await expect(webhooks.deliveries('nope', { limit: 2 })).rejects.toMatchObject({ code: 'NotFound' })
    await expect(webhooks.deliveries(ids[1]!, { limit: 2, pageToken: page.nextPageToken })).rejects.toMatchObject({
      code: 'BadRequest',
    })
  })

  it('forgets what ended two weeks ago, and never what waits', async () => {
    const done = await hook('/done')
    await registry.createModel({ name: 'a' })
    await tell()
    await send()
    answer = (_request, response) => response.writeHead(503, { 'retry-after': '3600' }).end()
    await registry.createModel({ name: 'b' })
    await tell()
    await send()
    now += 15 * 24 * 3_600_000
    receiver.close()
    await send(engineWith(true))
    expect(await logOf(done.webhookId)).toMatchObject([{ state: 'waiting', attempts: 2 }])
  })

  it('keeps of a busy webhook only the newest that ended', async () => {
    const { webhookId } = await hook()
    for (let i = 0; i < 6; i++) await registry.createModel({ name: `m${i}` })
    await tell()
    await send()
    const [newest, second] = await logOf(webhookId)
    await deliveryStore.prune(db, 0, 2)
    expect(await logOf(webhookId)).toEqual([newest, second])
  })
})
