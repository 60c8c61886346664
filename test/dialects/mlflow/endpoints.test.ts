import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { databases } from '../../support/databases.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'

const read = (path: string): string => readFileSync(fileURLToPath(new URL(path, import.meta.url)), 'utf8')

type Endpoint = { method: string; path: string; carriedOut: string }

const documented: Endpoint[] = [
  ...read('../../../docs/mlflow.md').matchAll(/^\| ([A-Z]+) \| `(\S+)` \| (\w+) \|/gm),
].map(([, method, path, carriedOut]) => ({ method: method!, path: path!, carriedOut: carriedOut! }))
const stock = read('./fixtures/stock-endpoints.txt').trim().split('\n')

/** Whatever the part is called. */
const shape = (path: string): string => path.replaceAll(/<[^>]+>|:\w+|\*/g, '…')
const isOfAPage = ({ path }: Endpoint): boolean => !/^\/(ajax-)?api|^\/graphql|get-artifact|^\/v1|^\/version/.test(path)

describe('docs/mlflow.md', () => {
  let server: MlflowServer
  let mounted: Set<string>
  beforeAll(async () => {
    server = await startMlflowServer(databases[0]!)
    mounted = new Set(server.routes.map(shape))
  })
  afterAll(() => server.close())

  it('tells of every endpoint of a stock server', () => {
    const told = new Set(documented.map(({ method, path }) => `${method} ${path}`))
    expect(stock.filter((endpoint) => !told.has(endpoint))).toEqual([])
  })

  it('calls carried out only what is mounted', () => {
    const claimed = documented.filter((endpoint) => endpoint.carriedOut === 'yes' && !isOfAPage(endpoint))
    expect(claimed.length).toBeGreaterThan(150)
    expect(claimed.filter(({ method, path }) => !mounted.has(shape(`${method} ${path}`)))).toEqual([])
  })

  it.each(documented.filter((endpoint) => endpoint.carriedOut === 'no' && !isOfAPage(endpoint)))(
    'says that $method $path is not carried out, and so does the server',
    async ({ method, path }) => {
      const answer = await fetch(server.url + path.replaceAll(/<[^>]+>/g, 'x'), {
        method,
        headers: { 'content-type': 'application/json' },
        ...(method === 'GET' ? {} : { body: '{}' }),
      })
      expect([answer.status, ((await answer.json()) as { error_code: string }).error_code]).toEqual([
        501,
        'NOT_IMPLEMENTED',
      ])
    },
  )
})
