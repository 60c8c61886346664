import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventsAfter } from '../../src/db/index.ts'
import { createClient } from '../../src/kernel/client.ts'
import { connectProject, getProject, listProjects } from '../../src/projects/index.ts'
import { type Remote, startRemote } from './remote.ts'

let server: Remote
let ann: ReturnType<typeof createClient>

beforeEach(async () => {
  server = await startRemote()
  ann = createClient({ baseUrl: server.url, token: 'ann-token' })
})
afterEach(() => server.stop())

const connect = (name: string, branch?: string) => ann(connectProject, { body: { name, branch } })

describe('connecting a project', () => {
  it('twice is one project, told once', async () => {
    expect(await connect('demo')).toMatchObject({
      name: 'demo',
      branch: 'main',
      created: true,
      remote: '/git/demo.git',
    })
    server.time.now += 5000
    expect(await connect('demo')).toMatchObject({ created: false, createdAt: 1_000_000 })
    expect(await eventsAfter(server.db, 0, { limit: 10 })).toMatchObject([
      { type: 'project.connected', payload: { project: 'demo' } },
    ])
  })

  it('at the same moment is one project', async () => {
    const results = await Promise.all([connect('demo'), connect('demo'), connect('demo')])
    expect(results.filter((result) => result.created)).toHaveLength(1)
  })

  it.each(['../etc', 'a/b', '-x', 'x.git', 'x.lock', 'a b', '', '.', '__proto__'])(
    'under the name %j is refused',
    async (name) => {
      await expect(connect(name)).rejects.toMatchObject({ code: 'BadRequest' })
    },
  )

  it('needs a token', async () => {
    const anyone = createClient({ baseUrl: server.url })
    await expect(anyone(connectProject, { body: { name: 'demo' } })).rejects.toMatchObject({ code: 'Unauthenticated' })
    expect((await anyone(listProjects, { query: {} })).items).toEqual([])
  })

  it('may name another authoritative branch only as long as the one before was never pushed to', async () => {
    await connect('demo')
    expect(await connect('demo', 'trunk')).toMatchObject({ branch: 'trunk', created: false })
    expect(await connect('demo')).toMatchObject({ branch: 'trunk' })
    const head = '1234567890123456789012345678901234567890'
    await server.db
      .insertInto('branch_heads')
      .values({ project: 'demo', branch: 'trunk', commit_id: head, moved_at: 1, actor: 'ann' })
      .execute()
    await expect(connect('demo', 'main')).rejects.toMatchObject({ code: 'Conflict' })
    expect(await ann(getProject, { params: { project: 'demo' } })).toMatchObject({ branch: 'trunk', head })
  })
})

describe('the list of projects', () => {
  it('comes by name in pages, none twice and none left out', async () => {
    for (const name of ['c', 'a', 'd', 'b', 'e']) await connect(name)
    const names: string[] = []
    let pageToken: string | undefined
    do {
      const page = await ann(listProjects, { query: { limit: 2, pageToken } })
      names.push(...page.items.map((project) => project.name))
      pageToken = page.nextPageToken
    } while (pageToken)
    expect(names).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('does not know a project that was never connected', async () => {
    await expect(ann(getProject, { params: { project: 'nowhere' } })).rejects.toMatchObject({ code: 'NotFound' })
  })
})
