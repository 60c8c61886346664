import { randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Actor } from '../../src/kernel/route.ts'
import { commit, git, makeWorkingCopy, minimalFile, type Remote, startRemote } from './remote.ts'

const ann: Actor = { kind: 'owner', name: 'ann' }
const folders: string[] = []
let server: Remote
let copy: string

async function workingCopy(files: Record<string, string>): Promise<string> {
  const folder = await makeWorkingCopy(files)
  folders.push(folder)
  return folder
}

const valid = { 'modelwright.yaml': minimalFile('demo'), 'train.py': 'print(1)\n' }

beforeEach(async () => {
  server = await startRemote()
  await server.projects.connect({ name: 'demo' }, ann)
  copy = await workingCopy(valid)
})

afterEach(async () => {
  await server.stop()
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

const head = (branch = 'main') => server.repositories.head('demo', branch)
const push = (...args: string[]) => git(copy, 'push', server.remote('demo'), ...args)

describe('the Git door', () => {
  it('takes a push that is larger than what Git sends in one piece', async () => {
    await writeFile(join(copy, 'large.bin'), randomBytes(3_000_000))
    const large = await commit(copy, {})
    expect(await push('main')).toMatchObject({ code: 0 })
    expect(server.encodings).toContain('chunked')
    expect(await head()).toBe(large)
    const clone = await workingCopy({})
    expect(await git(clone, 'fetch', '-q', `${server.url}/git/demo.git`, 'main')).toMatchObject({ code: 0 })
    expect((await git(clone, 'rev-parse', 'FETCH_HEAD')).output.trim()).toBe(large)
  })

  it('understands a client that compresses what it asks', async () => {
    await push('main', 'main:topic')
    const clone = await workingCopy({})
    for (let n = 0; n < 40; n++) await commit(clone, {}, `own ${n}`)
    const fetched = await git(clone, 'fetch', '-q', `${server.url}/git/demo.git`, 'refs/heads/*:refs/remotes/demo/*')
    expect(fetched).toMatchObject({ code: 0 })
    expect(server.encodings).toContain('gzip')
    expect((await git(clone, 'rev-parse', 'demo/topic')).output.trim()).toBe(await head())
  })

  it('asks who pushes without a token, and nobody who clones', async () => {
    const result = await git(copy, 'push', `${server.url}/git/demo.git`, 'main')
    expect(result.code).toBe(1)
    expect(result.output).toMatch(/could not read Username|terminal prompts disabled/)
    const response = await fetch(`${server.url}/git/demo.git/info/refs?service=git-receive-pack`)
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toMatch(/^Basic /)
    expect((await git(copy, 'push', server.remote('demo', 'wrong'), 'main')).output).toContain('Authentication failed')
    expect((await git(copy, 'push', server.remote('demo', 'step-token'), 'main')).output).toContain('403')
    expect(await git(copy, 'ls-remote', `${server.url}/git/demo.git`)).toMatchObject({ code: 0 })
  })

  it('says how to connect a project that it does not know', async () => {
    const result = await git(copy, 'push', server.remote('nowhere'), 'main')
    expect(result.code).toBe(1)
    expect(result.output).toContain('There is no project "nowhere"')
    expect(result.output).toContain('modelwright init')
  })

  it('never reaches files beside the repositories', async () => {
    for (const path of ['/git/..%2f..%2fetc.git/info/refs', '/git/demo.git/HEAD', '/git/demo.git/objects/info/packs'])
      expect((await fetch(`${server.url}${path}?service=git-upload-pack`)).status).toBe(404)
    expect((await fetch(`${server.url}/git/demo.git/info/refs`)).status).toBe(404)
  })

  it('answers no hook that does not know the secret of a push', async () => {
    const response = await fetch(`${server.url}/internal/git/demo/post-receive`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-modelwright-push': 'guessed' },
      body: '{"updates":[]}',
    })
    expect(response.status).toBe(403)
  })
})
