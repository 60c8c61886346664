import { rm, symlink, unlink } from 'node:fs/promises'
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

describe('a push', () => {
  it('shows the plan and the link, moves the branch, and is told once with the pusher', async () => {
    const first = await commit(copy, {}, 'first')
    const result = await git(copy, 'push', server.remote('demo', 'bob-token'), 'main')
    expect(result).toMatchObject({ code: 0 })
    expect(result.output).toContain(`remote: planned ${first.slice(0, 7)}`)
    expect(result.output).toContain(`remote: http://models.test/projects/demo/commits/${first}`)
    expect(await head()).toBe(first)
    expect(await server.projects.desiredHead('demo')).toBe(first)
    expect(await server.moves()).toEqual([{ project: 'demo', branch: 'main', to: first, actor: 'bob', origin: 'push' }])
  })

  it('is refused with line and column where modelwright.yaml is wrong, and moves nothing', async () => {
    await commit(copy, { 'modelwright.yaml': `project: demo\nsteps:\n  train: { runn: python train.py }\n` })
    const result = await push('main')
    expect(result.code).toBe(1)
    expect(result.output).toMatch(/remote: main is refused: ConfigInvalid/)
    expect(result.output).toMatch(/remote: {3}modelwright\.yaml:3:12 .*runn/)
    expect(result.output).toContain('remote:   → ')
    expect(await head()).toBeUndefined()
    expect(await server.moves()).toEqual([])
  })

  it('is refused without modelwright.yaml on the authoritative branch, naming the command that writes one', async () => {
    await git(copy, 'rm', '-q', 'modelwright.yaml')
    await commit(copy, {})
    const result = await push('main')
    expect(result.code).toBe(1)
    expect(result.output).toContain('modelwright init')
    expect(await head()).toBeUndefined()
  })

  it('comes in on another branch without modelwright.yaml, and says that nothing is planned', async () => {
    await git(copy, 'rm', '-q', 'modelwright.yaml')
    await commit(copy, {})
    const result = await push('main:old-work')
    expect(result).toMatchObject({ code: 0 })
    expect(result.output).toContain('nothing is planned')
  })

  it('is refused where the file names another project', async () => {
    await commit(copy, { 'modelwright.yaml': minimalFile('other') })
    expect((await push('main')).output).toMatch(/project: other.*remote of "demo"/)
  })

  it('that would take commits out of the authoritative branch is refused, forced or not', async () => {
    const first = await commit(copy, { a: '1' })
    await push('main')
    await git(copy, 'commit', '--amend', '-q', '-m', 'rewritten')
    const plain = await push('main')
    expect(plain.code).toBe(1)
    const forced = await push('--force', 'main')
    expect(forced.code).toBe(1)
    expect(forced.output).toContain('not a fast-forward')
    expect(forced.output).toContain('git revert')
    expect((await push(':main')).output).toContain('cannot be deleted')
    expect(await head()).toBe(first)
  })

  it('may rewrite a branch that says nothing about production', async () => {
    await push('main:topic')
    await git(copy, 'commit', '--amend', '-q', '-m', 'rewritten')
    expect(await push('--force', 'main:topic')).toMatchObject({ code: 0 })
    expect(await push(':topic')).toMatchObject({ code: 0 })
    expect((await server.moves()).map((move) => move.branch)).toEqual(['topic', 'topic'])
    await server.projects.observeHeads('demo')
    expect(await server.projects.recordedHead('demo', 'topic')).toBeUndefined()
  })

  it('to refs that are not for people is refused by name; snapshots come in without a plan', async () => {
    expect((await push('main:refs/notes/x')).output).toContain('refs/notes/x is neither a branch')
    expect((await push('main:modelwright/promote-3')).output).toContain('proposal of Modelwright')
    const snapshot = await push('main:refs/modelwright/snapshots/1')
    expect(snapshot).toMatchObject({ code: 0 })
    expect(snapshot.output).not.toContain('planned')
    expect(await push('main:refs/tags/v1')).toMatchObject({ code: 0 })
    expect((await git(copy, 'ls-remote', server.remote('demo'))).output).not.toContain('snapshots')
  })

  it('with a symbolic link out of the repository is refused with its path; one inside comes in', async () => {
    await symlink('../../etc/passwd', join(copy, 'evil link'))
    await commit(copy, {})
    const result = await push('main')
    expect(result.code).toBe(1)
    expect(result.output).toContain('evil link → ../../etc/passwd')
    expect((await push('main:refs/modelwright/snapshots/2')).code).toBe(1)
    await unlink(join(copy, 'evil link'))
    await symlink('train.py', join(copy, 'good'))
    await commit(copy, {})
    expect(await push('main')).toMatchObject({ code: 0 })
  })
})
