import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { databases } from '../../test/support/databases.ts'
import { WebAddresses } from '../adapters/addresses/web/web-addresses.ts'
import { TurnableClock } from '../adapters/clock/turnable/turnable-clock.ts'
import { MemoryObjectStore } from '../adapters/objects/memory/memory-object-store.ts'
import type { Db } from '../db/index.ts'
import { digestOf } from '../kernel/digest.ts'
import { AddressReader } from './address-reader.ts'
import { PlanStore } from './plan-store.ts'

describe('data at an address', () => {
  let server: Server
  let answer: RequestListener
  let asked: number
  let db: Db
  let objects: MemoryObjectStore
  let clock: TurnableClock
  let reader: AddressReader
  let place: Parameters<AddressReader['glance']>[0]

  beforeAll(async () => {
    server = createServer((request, response) => {
      asked++
      answer(request, response)
    })
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })
  beforeEach(async () => {
    asked = 0
    db = await databases[0]!.open()
    objects = new MemoryObjectStore()
    clock = new TurnableClock(1_700_000_000_000)
    reader = new AddressReader({
      addresses: new WebAddresses({ mostBytes: 50_000_000, environment: {} }),
      store: new PlanStore(db),
      secretOf: async ({ secret }) => `value of ${secret}`,
      ...{ objects, clock },
    })
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/b.csv`
    const source = { path: '.modelwright/data/rows/b.csv', address, checks: [] }
    place = { project: 'p', dataset: 'rows', source, trigger: 'push' }
  })
  afterEach(() => db.destroy())

  const tagged =
    (content: string): RequestListener =>
    (request, response) => {
      const tag = `"${digestOf(content)}"`
      if (request.headers['if-none-match'] === tag) response.writeHead(304).end()
      else response.writeHead(200, { etag: tag }).end(content)
    }
  const lines: string[] = []
  const fetching = (signal = new AbortController().signal) => {
    lines.length = 0
    return reader.fetch(place, (line) => lines.push(line), signal)
  }

  it('is known at a glance, and again without being sent', async () => {
    answer = tagged('rows')
    expect(await reader.glance(place)).toEqual({ digest: digestOf('rows'), size: 4 })
    expect(await reader.glance(place)).toEqual({ digest: digestOf('rows'), size: 4 })
    answer = tagged('more rows')
    expect(await reader.glance(place)).toMatchObject({ digest: digestOf('more rows') })
    expect(asked).toBe(3)
  })

  it('is fetched again where its bytes are not kept any more', async () => {
    answer = tagged('rows')
    await reader.glance(place)
    await objects.remove(digestOf('rows'))
    expect(await reader.glance(place)).toMatchObject({ digest: digestOf('rows') })
    expect(await objects.has(digestOf('rows'))).toBe(true)
  })

  it('is fetched each time where nothing says that it is the same', async () => {
    answer = (_, response) => void response.end('rows')
    await reader.glance(place)
    answer = (_, response) => void response.end('swor')
    expect(await reader.glance(place)).toMatchObject({ digest: digestOf('swor') })
  })

  it('is left for later where it is large, said or found out', async () => {
    const large = Buffer.alloc(40_000_000, 'x')
    answer = (_, response) => void response.writeHead(200, { 'content-length': large.length }).end(large)
    expect(await reader.glance(place)).toEqual({ later: `${place.source.address} has 40.0 MB: it is fetched first` })
    answer = (_, response) => void response.writeHead(200, { etag: '"large"' }).end(large)
    expect(await reader.glance(place)).toEqual({ later: `${place.source.address} is large: it is fetched first` })
    const whole = { digest: digestOf(large), size: large.length }
    expect(await objects.has(whole.digest)).toBe(false)
    expect(await fetching()).toEqual(whole)
    answer = (request, response) => {
      response.writeHead(request.headers['if-none-match'] === '"large"' ? 304 : 500).end()
    }
    expect(await reader.glance(place)).toEqual(whole)
  })

  it.each([404, 500])('makes no plan fail where it answers %i', async (status) => {
    answer = (_, response) => void response.writeHead(status).end()
    expect(await reader.glance(place)).toMatchObject({ later: expect.stringContaining(`answers ${status}`) })
  })

  it('is tried again where that may help, and else not', async () => {
    answer = (_, response) => void response.writeHead(503).end()
    const tries = expect(fetching()).rejects.toMatchObject({ code: 'DataUnreachable' })
    for (const pause of [1_000, 5_000]) {
      await until(() => lines.at(-1)?.endsWith(`Trying again in ${pause / 1000} s.`))
      await clock.turn(pause)
    }
    await tries
    expect(asked).toBe(3)
    answer = (_, response) => void response.writeHead(404).end()
    await expect(fetching()).rejects.toMatchObject({ code: 'DataUnavailable' })
    expect(asked).toBe(4)
  })

  it('ends what is cancelled, and keeps nothing of it', async () => {
    const stop = new AbortController()
    answer = (_, response) => void response.writeHead(200).write('half of ', () => setTimeout(() => stop.abort(), 10))
    await expect(fetching(stop.signal)).rejects.toMatchObject({ code: 'Conflict' })
    expect(await objects.has(digestOf('half of '))).toBe(false)
  })

  it('asks with its secret', async () => {
    answer = (request, response) => void response.end(request.headers.authorization)
    place = { ...place, source: { ...place.source, secret: 'TOKEN' } }
    expect(await reader.glance(place)).toMatchObject({ digest: digestOf('Bearer value of TOKEN') })
  })
})

async function until(holds: () => boolean | undefined): Promise<void> {
  while (!holds()) await new Promise((look) => setTimeout(look, 5))
}
