import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bigUntrackedFiles, takeSnapshot } from '../../src/cli/snapshot.ts'

let root: string
const env = {
  PATH: process.env.PATH,
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
}
const git = (...args: string[]): string => execFileSync('git', args, { cwd: root, env, encoding: 'utf8' })
const commit = (message: string): string =>
  git('-c', 'user.name=Ann', '-c', 'user.email=ann@example.org', 'commit', '-qm', message)
const filesOf = (id: string): string[] => git('ls-tree', '-r', '--name-only', id).trim().split('\n')
const take = (cwd = root) => takeSnapshot(cwd, env, 1_700_000_000_000)
const index = () => readFileSync(join(root, '.git', 'index'))

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'modelwright-snapshot-')))
  git('init', '-q', '-b', 'main')
  writeFileSync(join(root, '.gitignore'), 'ignored.txt\n')
  writeFileSync(join(root, 'kept.txt'), 'one\n')
  writeFileSync(join(root, 'gone.txt'), 'one\n')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

describe('a snapshot of the working tree', () => {
  it('is HEAD itself where nothing changed', async () => {
    git('add', '-A')
    commit('first')
    expect(await take()).toMatchObject({ clean: true, commit: git('rev-parse', 'HEAD').trim(), branch: 'main' })
  })

  it('holds changes, new and deleted files, staged or not, and nothing that is ignored', async () => {
    git('add', '-A')
    commit('first')
    writeFileSync(join(root, 'kept.txt'), 'two\n')
    writeFileSync(join(root, 'new.txt'), 'new\n')
    writeFileSync(join(root, 'staged.txt'), 'staged\n')
    writeFileSync(join(root, 'ignored.txt'), 'secret\n')
    rmSync(join(root, 'gone.txt'))
    git('add', 'staged.txt')
    const { commit: id, clean } = await take()
    expect(clean).toBe(false)
    expect(filesOf(id)).toEqual(['.gitignore', 'kept.txt', 'new.txt', 'staged.txt'])
    expect(git('show', `${id}:kept.txt`)).toBe('two\n')
    expect(git('rev-parse', `${id}^`)).toBe(git('rev-parse', 'HEAD'))
  })

  it('leaves index, HEAD, branches, stash and status as they were', async () => {
    git('add', '-A')
    commit('first')
    writeFileSync(join(root, 'kept.txt'), 'two\n')
    git('add', 'kept.txt')
    writeFileSync(join(root, 'kept.txt'), 'three\n')
    const seen = () => [
      git('status', '--porcelain'),
      git('for-each-ref'),
      git('stash', 'list'),
      git('diff', '--cached'),
    ]
    const before = seen()
    const indexBefore = index()
    await take()
    expect(index().equals(indexBefore)).toBe(true)
    expect(seen()).toEqual(before)
  })

  it('works before the first commit, from a folder below, and without a name of a person', async () => {
    mkdirSync(join(root, 'src'))
    writeFileSync(join(root, 'src', 'train.py'), '')
    const { commit: id, root: found } = await take(join(root, 'src'))
    expect(found).toBe(root)
    expect(filesOf(id)).toEqual(['.gitignore', 'gone.txt', 'kept.txt', 'src/train.py'])
    expect(git('log', '-1', '--format=%an|%P', id).trim()).toMatch(/\|$/)
  })

  it('takes files in conflict as they lie in the working tree', async () => {
    git('add', '-A')
    commit('first')
    git('checkout', '-q', '-b', 'other')
    writeFileSync(join(root, 'kept.txt'), 'theirs\n')
    git('add', '-A')
    commit('theirs')
    git('checkout', '-q', 'main')
    writeFileSync(join(root, 'kept.txt'), 'ours\n')
    git('add', '-A')
    commit('ours')
    expect(() => git('-c', 'user.name=Ann', '-c', 'user.email=a@example.org', 'merge', '-q', 'other')).toThrow()
    const { commit: id } = await take()
    expect(git('show', `${id}:kept.txt`)).toContain('<<<<<<<')
    expect(git('status', '--porcelain')).toContain('UU kept.txt')
  })

  it('refuses a folder outside any repository', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'no-repository-'))
    await expect(take(outside)).rejects.toMatchObject({ code: 'NotFound' })
    rmSync(outside, { recursive: true })
  })

  it('names the big files that would go along unasked: neither tracked, nor ignored, nor small', async () => {
    git('add', '-A')
    commit('first')
    for (const name of ['kept.txt', 'ignored.txt', 'model.bin']) {
      writeFileSync(join(root, name), '')
      truncateSync(join(root, name), 60_000_000)
    }
    writeFileSync(join(root, 'small.bin'), 'small')
    expect(await bigUntrackedFiles(root, env)).toEqual([{ path: 'model.bin', bytes: 60_000_000 }])
  })
})
