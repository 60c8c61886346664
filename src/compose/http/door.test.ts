import { request as httpRequest } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import pino from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { AppError } from '../../kernel/errors.ts'
import { type Actor, anonymous } from '../../kernel/route.ts'
import { createHttpApp, type HttpOptions } from './app.ts'

const mlflow = '/api/2.0/mlflow/experiments/search'
const ours = '/api/v1/runs'

describe('the door', () => {
  let app: FastifyInstance
  afterEach(() => app.close())

  async function open(options: Partial<HttpOptions> = {}): Promise<number> {
    app = createHttpApp({
      log: pino({ level: 'silent' }),
      loopback: true,
      allowedHosts: [],
      authenticate: async (authorization): Promise<Actor> => {
        if (authorization === undefined) return anonymous
        if (authorization === 'Bearer good') return { kind: 'owner', name: 'owner' }
        throw new AppError('Unauthenticated', 'You are not authenticated.', 'Send a token.')
      },
      ...options,
    })
    for (const url of [mlflow, ours, '/health', '/version', '/'])
      app.route({ method: ['GET', 'POST'], url, handler: async () => ({ ok: true }) })
    await app.listen({ port: 0, host: '127.0.0.1' })
    return (app.server.address() as AddressInfo).port
  }

  type Asked = { method?: string; path?: string; headers?: Record<string, string> }
  type Got = { status: number; headers: Record<string, string | undefined>; body: string }

  const ask = (port: number, { method = 'GET', path = mlflow, headers = {} }: Asked): Promise<Got> =>
    new Promise((resolve, reject) => {
      const sent = httpRequest({ port, host: '127.0.0.1', method, path, headers }, (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => (body += text))
        response.on('end', () =>
          resolve({ status: response.statusCode!, headers: response.headers as Got['headers'], body }),
        )
      })
      sent.on('error', reject).end()
    })

  it.each([
    ['localhost', 200],
    ['localhost:5000', 200],
    ['127.0.0.1', 200],
    ['[::1]:8080', 200],
    ['192.168.1.1:8080', 200],
    ['10.0.0.1', 200],
    ['172.16.0.1', 200],
    ['172.32.0.1', 403],
    ['[fd00::1]:5000', 200],
    ['192.168.evil.example', 403],
    ['10.evil.example', 403],
    ['8.8.8.8', 403],
    ['evil.example', 403],
    ['localhost.evil.example', 403],
  ])('on loopback answers a call to the host %j with %s', async (host, status) => {
    const port = await open()
    const got = await ask(port, { headers: { host } })
    expect(got.status).toBe(status)
    if (status === 403) expect(got.body).toContain('Invalid Host header - possible DNS rebinding attack detected')
  })

  it.each([
    ['*', 'any.example', 200],
    ['*.team.example', 'app.team.example', 200],
    ['*.team.example', 'team.example.evil', 403],
    ['app.example:8080', 'app.example:8080', 200],
    ['app.example:8080', 'app.example:8081', 403],
    ['app.example', 'APP.example:9', 200],
  ])('with %s allowed answers a call to the host %s with %s', async (allowed, host, status) => {
    const port = await open({ allowedHosts: [allowed] })
    expect((await ask(port, { headers: { host } })).status).toBe(status)
  })

  it('tells anyone whether it lives, under whatever name', async () => {
    const port = await open()
    for (const path of ['/health', '/version'])
      expect((await ask(port, { path, headers: { host: 'evil.example' } })).status).toBe(200)
  })

  it('checks names beyond loopback where they are given, and there a token is needed in any case', async () => {
    let port = await open({ loopback: false })
    expect((await ask(port, { headers: { host: 'models.example' } })).status).toBe(401)
    expect((await ask(port, { headers: { host: 'models.example', authorization: 'Bearer good' } })).status).toBe(200)
    await app.close()
    port = await open({ loopback: false, allowedHosts: ['models.example'] })
    expect((await ask(port, { headers: { host: 'evil.example', authorization: 'Bearer good' } })).status).toBe(403)
  })

  const own = 'http://localhost:5000'
  it.each<[string, string, string, Partial<HttpOptions>, number, string | undefined]>([
    ['POST', mlflow, own, {}, 200, undefined],
    ['POST', mlflow, 'http://evil.example', {}, 403, undefined],
    ['POST', mlflow, 'null', {}, 403, undefined],
    ['POST', mlflow, 'http://localhost:3000', {}, 200, 'http://localhost:3000'],
    ['POST', mlflow, 'http://localhost.evil.example', {}, 403, undefined],
    ['POST', ours, 'http://localhost:3000', {}, 403, undefined],
    ['POST', ours, 'https://app.example', { corsOrigins: ['https://app.example'] }, 200, 'https://app.example'],
    [
      'POST',
      mlflow,
      'http://app.team.example',
      { corsOrigins: ['http://*.team.example'] },
      200,
      'http://app.team.example',
    ],
    ['POST', mlflow, 'http://evil.example', { corsOrigins: ['http://*.team.example'] }, 403, undefined],
    ['POST', mlflow, 'http://any.example', { corsOrigins: ['*'] }, 200, '*'],
    ['GET', mlflow, 'http://evil.example', {}, 200, undefined],
    ['GET', mlflow, 'http://[::1]:8080', {}, 200, 'http://[::1]:8080'],
  ])('answers %s %s from a page of %s, with %j, with %s', async (method, path, origin, options, status, allowed) => {
    const port = await open(options)
    const got = await ask(port, { method, path, headers: { host: 'localhost:5000', origin } })
    expect([got.status, got.headers['access-control-allow-origin']]).toEqual([status, allowed])
    expect(got.headers['access-control-allow-credentials']).toBe(
      allowed === undefined || allowed === '*' ? undefined : 'true',
    )
    if (status === 403) expect(got.body).toContain('Cross-origin request blocked')
  })

  it('answers a preflight before anybody has logged in, and refuses those of foreign pages', async () => {
    const port = await open({ corsOrigins: ['https://app.example'], requireLogin: true })
    const headers = {
      host: 'localhost',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type',
    }
    const got = await ask(port, { method: 'OPTIONS', headers: { ...headers, origin: 'https://app.example' } })
    expect(got.status).toBe(204)
    expect(got.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-methods': 'GET, POST, PUT, DELETE, OPTIONS, PATCH',
      'access-control-allow-headers': 'content-type',
    })
    const foreign = await ask(port, { method: 'OPTIONS', headers: { ...headers, origin: 'http://evil.example' } })
    expect([foreign.status, foreign.headers['access-control-allow-origin']]).toEqual([400, undefined])
  })

  it.each([mlflow, '/', '/nowhere'])('says of %s that no other page may frame it or guess its type', async (path) => {
    const port = await open()
    expect((await ask(port, { path, headers: { host: 'localhost' } })).headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'SAMEORIGIN',
    })
  })

  it('asks for a login on loopback too where one is required, except for whether it lives and what it can', async () => {
    const port = await open({ requireLogin: true })
    const got = await ask(port, {})
    expect(got.status).toBe(401)
    expect(got.headers['www-authenticate']).toBe('Basic realm="Modelwright", charset="UTF-8"')
    expect((await ask(port, { path: '/health' })).status).toBe(200)
    expect((await ask(port, { path: '/api/3.0/mlflow/server-info' })).status).toBe(404)
    expect((await ask(port, { headers: { authorization: 'Bearer good' } })).status).toBe(200)
  })

  const raw = (port: number, start: string): Promise<string> =>
    new Promise((resolve) => {
      let got = ''
      const socket = connect(port, '127.0.0.1', () => socket.write(start))
      socket.setEncoding('utf8').on('data', (text: string) => (got += text))
      socket.on('error', () => resolve(got)).on('close', () => resolve(got))
    })

  it('refuses ten megabytes of headers, and goes on', async () => {
    const port = await open()
    const start = `GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic ${'a'.repeat(10_000_000)}`
    // What the server said is lost where it closed while the client was still sending.
    expect(await raw(port, start)).toMatch(/^(HTTP\/1.1 431 |$)/)
    expect((await ask(port, {})).status).toBe(200)
  })

  it('refuses who names no host', async () => {
    const port = await open()
    expect(await raw(port, 'GET / HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 403 /)
  })

  it('does not wait for ever for a client that never ends its headers', async () => {
    const port = await open({ headersMs: 100 })
    expect(await raw(port, 'GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n')).toMatch(/^HTTP\/1.1 408 /)
  })
})
