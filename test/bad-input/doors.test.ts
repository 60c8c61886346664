import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pidOf } from '../crash/support/kill.ts'
import { Family } from '../journeys/support/family.ts'
import { json, type RawAnswer, sendRaw } from './raw.ts'

// Bytes as no client library would send them, at the doors of a running family.

let family: Family
let pids: number[]
let auth: Record<string, string>
beforeAll(async () => {
  family = await Family.start()
  auth = { authorization: `Bearer ${family.token}` }
  pids = [pidOf(family, 'server'), pidOf(family, 'gateway')]
})
afterAll(() => family?.stop())

type Operations = Record<string, Record<string, unknown>>
const openApi = new URL('../../docs/openapi.json', import.meta.url)
const { paths } = JSON.parse(readFileSync(fileURLToPath(openApi), 'utf8')) as { paths: Operations }
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })),
)
const filled = (path: string, value: string) => path.replaceAll(/\{\w+\}/g, value)

/** Ours say code, message and next move. */
function expectTold(answer: RawAnswer, what: string): void {
  expect(answer.status, `${what}\n${answer.body}`).toBeGreaterThanOrEqual(400)
  expect(answer.status, `${what}\n${answer.body}`).toBeLessThan(500)
  const { error } = JSON.parse(answer.body) as { error: Record<string, string> }
  expect(error, what).toMatchObject({ code: expect.any(String), message: expect.any(String), next: expect.any(String) })
}

const malformed: [what: string, body: string][] = [
  ['nothing', ''],
  ['half an object', '{"name":'],
  ['null', 'null'],
  ['a list', '[]'],
  ['a text', '"x"'],
  ['NaN', '{"name": NaN}'],
  ['brackets 50,000 deep', '['.repeat(50_000)],
  ['objects 20,000 deep', '{"a":'.repeat(20_000)],
  ['a prototype', '{"__proto__":{"name":"x"}}'],
  ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22]).toString('latin1')],
  ['a name of a million letters', JSON.stringify({ name: 'x'.repeat(1_000_000) })],
  ['a name with NUL', '{"name":"a\\u0000b"}'],
  ['a name that is half a character', '{"name":"\\ud800"}'],
]

it.each(malformed)('answers a POST of %s with 4xx and a next move, at every documented path', async (what, body) => {
  for (const { method, path } of operations)
    if (method === 'POST')
      expectTold(await sendRaw(family.url, { path: filled(path, 'x'), ...json(body, auth) }), `${path}: ${what}`)
})

it.each(['text/plain', 'application/xml', 'multipart/form-data; boundary=x'])(
  'answers a POST of content type %s with 4xx and a next move',
  async (type) => {
    for (const { method, path } of operations)
      if (method === 'POST')
        expectTold(
          await sendRaw(family.url, {
            method,
            path: filled(path, 'x'),
            headers: { ...auth, 'content-type': type },
            body: '{"name":"x"}',
          }),
          path,
        )
  },
)

it.each([
  ['NUL', '%00'],
  ['a byte that is no UTF-8', '%ff'],
  ['a way out', '..%2f..%2fetc'],
  ['dots', '%2e%2e'],
  ['a line feed', 'a%0ab'],
  ['an emoji', '%F0%9F%98%80'],
  ['SQL', "'%20or%201=1--"],
  ['a prototype', '__proto__'],
  ['2,100 letters', 'x'.repeat(2_100)],
])('never fails at an id that is %s', async (_, value) => {
  for (const { method, path } of operations) {
    if (!path.includes('{')) continue
    const { status, body } = await sendRaw(family.url, {
      path: filled(path, value),
      ...(method === 'POST' ? json('{}', auth) : { method, headers: auth }),
    })
    expect(status, `${method} ${path}\n${body}`).toBeLessThan(500)
    if (status >= 400) expect(JSON.parse(body)).toMatchObject({ error: { next: expect.any(String) } })
  }
})

it.each([
  'limit=-1',
  'limit=1e99',
  'limit=x',
  'pageToken=%00',
  'project=%00',
  'offset=99999999999999999999',
  'fromMs=NaN',
])('never fails at ?%s', async (query) => {
  for (const { method, path } of operations) {
    if (method !== 'GET') continue
    const { status, body } = await sendRaw(family.url, { path: `${filled(path, 'x')}?${query}`, headers: auth })
    expect(status, `${path}\n${body}`).toBeLessThan(500)
  }
})

describe('metrics as a client without a library sends them', () => {
  const log = (value: string) =>
    sendRaw(family.url, {
      path: '/api/2.0/mlflow/runs/log-metric',
      ...json(`{"run_id":"${run}","key":"m","value":${value},"timestamp":1,"step":0}`, auth),
    })
  let run: string
  beforeAll(async () => {
    const path = '/api/2.0/mlflow/runs/create'
    run = JSON.parse((await sendRaw(family.url, { path, ...json({ experiment_id: '0' }, auth) })).body).run.info.run_id
  })

  it.each(['"NaN"', '"Infinity"', '"-Infinity"', '1e999'])('%s is kept', async (value) => {
    expect((await log(value)).status).toBe(200)
  })

  it.each(['NaN', 'Infinity', '-Infinity'])(
    'a bare %s, which JSON does not have, is told with what to send',
    async (value) => {
      const answer = await log(value)
      expect(answer.status).toBe(400)
      expect(answer.body).toMatch(/JSON has no NaN or Infinity.*\\"NaN\\"/)
    },
  )
})

it.each([
  '../../x',
  '%2e%2e/%2e%2e/x',
  '..%2f..%2fx',
  '%252e%252e%252fx',
  '..\\..\\x',
  '..%5c..%5cx',
  '/etc/x',
  '%2fetc%2fx',
  'a%00b',
  'C:%5cx',
  'a/../../../x',
  '%c0%ae%c0%ae/x',
  '%ff',
])('refuses an artifact named %s in each way', async (name) => {
  for (const method of ['PUT', 'GET', 'DELETE']) {
    const answer = await sendRaw(family.url, {
      method,
      path: `/api/2.0/mlflow-artifacts/artifacts/0/run/artifacts/${name}`,
      headers: auth,
      body: method === 'PUT' ? 'x' : '',
    })
    expect(answer.status, answer.body).toBe(400)
    expect(JSON.parse(answer.body)).toHaveProperty(answer.body.includes('error_code') ? 'error_code' : 'error')
  }
})

it.each([
  ['a foreign Host', { host: 'evil.example' }, 403],
  ['a Host that begins like ours', { host: '127.0.0.1.evil.example' }, 403],
  ['an unknown token', { authorization: 'Bearer wrong' }, 401],
  ['an unknown password', { authorization: `Basic ${Buffer.from('x:wrong').toString('base64')}` }, 401],
])('refuses %s, also for reading', async (_, headers, status) => {
  expect((await sendRaw(family.url, { path: '/api/v1/projects', headers })).status).toBe(status)
  const { body } = await sendRaw(family.url, { path: '/api/v1/projects', headers })
  expect(JSON.parse(body).error.next).toEqual(expect.any(String))
})

it.each(['http://evil.example', 'null'])('lets no page of %s change anything, be the token right', async (origin) => {
  const answer = await sendRaw(family.url, {
    path: '/api/v1/projects',
    ...json({ name: 'foreign' }, { ...auth, origin }),
  })
  expect(answer.status).toBe(403)
  expect((await sendRaw(family.url, { path: '/api/v1/projects' })).body).not.toContain('foreign')
})

it('refuses a body beyond the bound without reading it into memory, and says so', async () => {
  const answer = await sendRaw(family.url, {
    method: 'POST',
    path: '/api/v1/projects',
    headers: { ...auth, 'content-type': 'application/json', 'content-length': String(2 ** 40) },
    body: '{"name":"',
  })
  expectTold(answer, 'a body of a terabyte')
  expect(answer.body).toContain('too large')
})

it('has the same two processes after all of this', async () => {
  expect([pidOf(family, 'server'), pidOf(family, 'gateway')]).toEqual(pids)
  expect((await sendRaw(family.url, { path: '/health' })).status).toBe(200)
  expect((await sendRaw(family.gatewayUrl, { path: '/health' })).status).toBe(200)
})
