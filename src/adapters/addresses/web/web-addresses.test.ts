import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import { addressesConformance } from '../../../ports/conformance/addresses.ts'
import { WebAddresses } from './web-addresses.ts'

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
  }
})

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const web = (stallMs = 120_000) => new WebAddresses({ mostBytes: 1_000_000, environment: {}, stallMs })

/** `tags`: a server that answers conditional requests; else one that only says when a file was changed. */
const place = (tags: boolean) => async () => {
  let file: { content: string; version: number; settled: boolean } | undefined
  const url = await serve((request, response) => {
    if (!file) return void response.writeHead(404).end('nothing')
    const tag = `"v${file.version}"`
    if (tags && file.settled) response.setHeader('etag', tag)
    // Each version a second later than the one before, all of them long ago.
    const changed = file.settled ? Date.UTC(2024, 0, 1, 0, 0, file.version) : Date.now()
    if (!tags) response.setHeader('last-modified', new Date(changed).toUTCString())
    if (tags && request.headers['if-none-match'] === tag) return void response.writeHead(304).end()
    response.setHeader('content-length', Buffer.byteLength(file.content))
    response.end(file.content)
  })
  return {
    addresses: web(),
    address: `${url}/b.csv`,
    write: async (content: string, { settled }: { settled: boolean }) => {
      file = { content, version: (file?.version ?? 0) + 1, settled }
    },
    remove: async () => {
      file = undefined
    },
  }
}
addressesConformance('addresses/web with tags', place(true))
addressesConformance('addresses/web with times', place(false))

describe('addresses of the web', () => {
  const refusalOf = async (address: string, addresses = web()) => {
    try {
      const answer = await addresses.open(address, {})
      if (answer.state === 'content') await text(answer.content)
      return 'read'
    } catch (error) {
      const { code, message } = error as { code: string; message: string }
      return `${code}: ${message}`
    }
  }

  it('asks only once for what has a tag, and is answered without the bytes', async () => {
    const asked: (string | undefined)[] = []
    const url = await serve((request, response) => {
      asked.push(request.headers['if-none-match'])
      if (asked.at(-1) === '"a"') response.writeHead(304).end()
      else response.writeHead(200, { etag: '"a"' }).end('rows')
    })
    const first = await web().open(url, {})
    expect(first).toMatchObject({ state: 'content', validator: 'etag:"a"' })
    if (first.state === 'content') await text(first.content)
    expect(await web().open(url, { known: 'etag:"a"' })).toEqual({ state: 'unchanged' })
    expect(asked).toEqual([undefined, '"a"'])
  })

  it('takes no weak tag for the same bytes', async () => {
    const url = await serve((_, response) => void response.writeHead(200, { etag: 'W/"a"' }).end('rows'))
    const answer = await web().open(url, { known: 'etag:W/"a"' })
    expect(answer).toMatchObject({ state: 'content' })
    expect(answer).not.toHaveProperty('validator')
  })

  it.each([
    [404, 'DataUnavailable', '404 Not Found'],
    [403, 'DataUnavailable', '403 Forbidden'],
    [503, 'DataUnreachable', '503 Service Unavailable'],
    [206, 'DataUnavailable', '206'],
  ])('tells of an answer %i', async (status, code, words) => {
    const url = await serve((_, response) => void response.writeHead(status).end('x'))
    const said = await refusalOf(`${url}/b.csv`)
    expect(said).toContain(`${code}: ${url}/b.csv answers`)
    expect(said).toContain(words)
  })

  it('says that nobody listens', async () => {
    const url = await serve(() => undefined)
    servers.pop()!.close()
    expect(await refusalOf(url)).toMatch(/^DataUnreachable: .* cannot be reached: .*ECONNREFUSED/)
  })

  it('gives up where nothing comes, before and amid the bytes', async () => {
    const silent = await serve(() => undefined)
    expect(await refusalOf(silent, web(100))).toMatch(/^DataUnreachable: .* sent nothing for 0.1 s/)
    const stuck = await serve((_, response) => void response.writeHead(200).write('rows'))
    expect(await refusalOf(stuck, web(100))).toMatch(/^DataUnreachable: .* sent nothing for 0.1 s/)
  })

  it.each([
    ['with a length', { 'content-length': '100' }],
    ['in chunks', { 'transfer-encoding': 'chunked' }],
  ])('fails where the bytes break off, %s', async (_, headers) => {
    const url = await serve((__, response) => {
      response.writeHead(200, headers)
      response.write('rows', () => response.destroy())
    })
    expect(await refusalOf(url)).toMatch(/^DataUnreachable: .* broke off after/)
  })

  it('stops at the limit where nobody said how much would come', async () => {
    const url = await serve((_, response) => {
      const more = () => {
        while (response.write('x'.repeat(100_000)));
        response.once('drain', more)
      }
      more()
    })
    expect(await refusalOf(url)).toMatch(/^DataUnavailable: .* at most 1.0 MB are taken/)
  })

  it('follows redirects, and ends where they do not', async () => {
    const url = await serve((request, response) => {
      const hops = Number(request.url!.slice(1))
      if (hops === 0) response.end('rows')
      else response.writeHead(302, { location: request.url === '/99' ? '/99' : `/${hops - 1}` }).end()
    })
    expect(await refusalOf(`${url}/5`)).toBe('read')
    expect(await refusalOf(`${url}/6`)).toContain('redirected more than 5 times')
    expect(await refusalOf(`${url}/99`)).toContain('redirected more than 5 times')
  })

  it.each([
    ['http://example.org/b.csv', 'is http, where anybody'],
    ['file:///etc/passwd', 'is a file'],
    ['https://ada:pw@example.org/', 'stand in Git'],
  ])('is not led to %s', async (location, why) => {
    const url = await serve((_, response) => void response.writeHead(302, { location }).end())
    const said = await refusalOf(url)
    expect(said).toMatch(/^DataUnavailable: .* is redirected to/)
    expect(said).toContain(why)
    expect(said).not.toContain('ada:pw')
  })

  it('is never led from https to http, not even to this machine, and trusts only known certificates', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'modelwright-tls-'))
    try {
      const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
      const words = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost'
      const names = ['-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert]
      execFileSync('openssl', [...words.split(' '), ...names], { stdio: 'ignore' })
      const secured = createSecureServer(
        { key: readFileSync(key), cert: readFileSync(cert) },
        (request, response) =>
          void (request.url === '/rows'
            ? response.end('rows')
            : response.writeHead(302, { location: request.url === '/on' ? '/rows' : plain }).end()),
      )
      const plain = await serve((_, response) => void response.end('the rows of a neighbour'))
      servers.push(secured)
      await new Promise<void>((ready) => secured.listen(0, '127.0.0.1', ready))
      const url = `https://localhost:${(secured.address() as AddressInfo).port}`
      const trusting = new WebAddresses({ mostBytes: 1_000_000, environment: { SSL_CERT_FILE: cert } })
      expect(await refusalOf(`${url}/on`, trusting)).toBe('read')
      expect(await refusalOf(`${url}/out`, trusting)).toMatch(/^DataUnavailable: .* is redirected to .*, which is http/)
      expect(await refusalOf(`${url}/rows`)).toMatch(/^DataUnreachable: .* cannot be reached: .*certificate/)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('gives a secret to the address, and not to where it leads', async () => {
    const seen: Record<string, string | undefined> = {}
    const other = await serve((request, response) => {
      seen.other = request.headers.authorization
      response.end('rows')
    })
    const url = await serve((request, response) => {
      seen.own = request.headers.authorization
      response.writeHead(307, { location: other }).end()
    })
    const answer = await web().open(url, { secret: 'hf_1234' })
    if (answer.state === 'content') answer.content.destroy()
    expect(seen).toEqual({ own: 'Bearer hf_1234', other: undefined })
  })
})
