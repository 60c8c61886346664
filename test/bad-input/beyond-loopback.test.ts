import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Family } from '../journeys/support/family.ts'

describe('server and gateway on all addresses', () => {
  let family: Family

  beforeAll(async () => {
    family = await Family.start(['--host', '0.0.0.0'])
  })

  afterAll(async () => {
    await family?.stop()
  })

  const ask = (url: string, token?: string, init: RequestInit = {}) =>
    fetch(url, {
      ...init,
      headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    })

  it('say no more than that they are there to somebody without a token', async () => {
    expect((await ask(`${family.url}/health`)).status).toBe(200)
    expect((await ask(`${family.gatewayUrl}/health`)).status).toBe(200)
    for (const path of [
      '/api/v1/projects',
      '/api/v1/executions',
      '/git/x.git/info/refs?service=git-upload-pack',
      '/api/2.0/mlflow/experiments/search',
      '/',
    ])
      expect((await ask(family.url + path)).status, path).toBe(401)
    expect((await ask(`${family.gatewayUrl}/status`)).status).toBe(401)
    expect(
      (await ask(`${family.gatewayUrl}/invocations`, undefined, { method: 'POST', body: '{"inputs":[1]}' })).status,
    ).toBe(401)
  })

  it('refuse a wrong token and take the right one', async () => {
    expect((await ask(`${family.url}/api/v1/projects`, 'wrong')).status).toBe(401)
    expect((await ask(`${family.gatewayUrl}/status`, 'wrong')).status).toBe(401)
    expect((await ask(`${family.url}/api/v1/projects`, family.token)).status).toBe(200)
    expect((await ask(`${family.gatewayUrl}/status`, family.token)).status).toBe(200)
    expect(
      (await ask(`${family.gatewayUrl}/invocations`, family.token, { method: 'POST', body: '{"inputs":[1]}' })).status,
    ).toBe(404)
  })
})
