import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { gitCredential } from './git-credential.ts'

let dataDir: string
let said: { out: string; err: string }
const io = {
  out: (text: string) => {
    said.out += text
  },
  err: (text: string) => {
    said.err += text
  },
}
const ask = (operation: string, input: string) =>
  gitCredential(operation, { dataDir, server: 'http://localhost:5000', input }, io)

beforeEach(async () => {
  said = { out: '', err: '' }
  dataDir = await mkdtemp(join(tmpdir(), 'modelwright-credential-'))
  await mkdir(join(dataDir, 'keys'))
  await writeFile(join(dataDir, 'keys', 'owner.token'), 'secret-token\n')
})
afterEach(() => rm(dataDir, { recursive: true, force: true }))

describe('the credential helper', () => {
  it('gives the token for its own server', async () => {
    await ask('get', 'protocol=http\nhost=localhost:5000\n\n')
    expect(said.out).toBe('username=owner\npassword=secret-token\n')
  })

  it('gives the token of the environment to a server whose data folder is elsewhere', async () => {
    const server = 'http://models.test:5000'
    const input = 'protocol=http\nhost=models.test:5000\n\n'
    await gitCredential('get', { dataDir: '/nonexistent', server, input, token: 'mine' }, io)
    expect(said.out).toBe('username=owner\npassword=mine\n')
  })

  it.each([
    ['another host', 'protocol=http\nhost=example.org\n'],
    ['another port', 'protocol=http\nhost=localhost:5001\n'],
    ['another protocol', 'protocol=https\nhost=localhost:5000\n'],
    ['a host that only begins the same', 'protocol=http\nhost=localhost:5000.example.org\n'],
    ['nothing', ''],
  ])('gives nothing to %s', async (_, input) => {
    await ask('get', input)
    expect(said.out).toBe('')
  })

  it('keeps nothing', async () => {
    expect(await ask('store', 'protocol=http\nhost=localhost:5000\npassword=x\n')).toBe(0)
    expect(await ask('erase', 'protocol=http\nhost=localhost:5000\n')).toBe(0)
    expect(said.out).toBe('')
  })

  it('says where it looked when there is no token, and lets Git go on', async () => {
    await rm(join(dataDir, 'keys'), { recursive: true })
    expect(await ask('get', 'protocol=http\nhost=localhost:5000\n')).toBe(0)
    expect(said.err).toContain(join(dataDir, 'keys', 'owner.token'))
  })
})
