import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import type { CommitId } from '../../../kernel/ids.ts'
import { repositoryConformance } from '../../../ports/conformance/repository.ts'
import { GitRepositories } from './git-repositories.ts'

repositoryConformance('repository/git-cli', async () => {
  const root = mkdtempSync(join(tmpdir(), 'modelwright-git-'))
  const repositories = new GitRepositories({ root })
  return {
    repositories,
    cleanup: async () => {
      repositories.close()
      rmSync(root, { recursive: true, force: true })
    },
  }
})

describe('the git-cli repositories', () => {
  const root = mkdtempSync(join(tmpdir(), 'modelwright-git-'))
  const repositories = new GitRepositories({ root })
  afterAll(() => {
    repositories.close()
    rmSync(root, { recursive: true, force: true })
  })

  const repositoryWithCommit = async (name: string): Promise<CommitId> => {
    await repositories.create(name)
    const git = (args: string[], input = '') =>
      execFileSync('git', args, { cwd: repositories.path(name), input, encoding: 'utf8' }).trim()
    const tree = git(['mktree'])
    const identity = ['-c', 'user.name=A', '-c', 'user.email=a@example.org']
    const commit = git([...identity, 'commit-tree', tree], 'Start\n')
    git(['update-ref', 'refs/heads/main', commit])
    return commit as CommitId
  }

  const readersOf = (name: string): number[] =>
    spawnSync('pgrep', ['-f', `${repositories.path(name)}.*cat-file`], { encoding: 'utf8' })
      .stdout.split('\n')
      .filter(Boolean)
      .map(Number)

  it('runs no hook of the repository when it commits', async () => {
    const base = await repositoryWithCommit('hooked')
    const hooks = join(repositories.path('hooked'), 'hooks')
    const proof = join(root, 'hook-ran')
    mkdirSync(hooks, { recursive: true })
    for (const hook of ['reference-transaction', 'post-update', 'post-index-change', 'pre-commit'])
      writeFileSync(join(hooks, hook), `#!/bin/sh\ntouch ${proof}\n`, { mode: 0o755 })
    const files = [{ path: 'a.txt', content: 'a' }]
    const author = { name: 'M', email: 'm@example.org' }
    await repositories.commitFiles('hooked', {
      branch: 'b',
      expectedHead: undefined,
      base,
      files,
      message: 'm',
      author,
      at: 0,
    })
    expect(existsSync(proof)).toBe(false)
  })

  it('is not deceived by a replacement reference that somebody pushed', async () => {
    const base = await repositoryWithCommit('replaced')
    const files = [{ path: 'a.txt', content: 'a' }]
    const author = { name: 'M', email: 'm@example.org' }
    const made = { branch: 'b', expectedHead: undefined, base, files, message: 'other', author, at: 0 }
    const other = await repositories.commitFiles('replaced', made)
    execFileSync('git', ['update-ref', `refs/replace/${base}`, other], { cwd: repositories.path('replaced') })
    expect((await repositories.commit('replaced', base)).message).toBe('Start\n')
  })

  it('keeps one reading process for many questions, and none after close', async () => {
    const commit = await repositoryWithCommit('readers')
    for (let asked = 0; asked < 20; asked++) await repositories.commit('readers', commit)
    expect(readersOf('readers')).toHaveLength(1)
    repositories.close()
    await vi.waitFor(() => expect(readersOf('readers')).toEqual([]), 120_000)
    expect((await repositories.commit('readers', commit)).id).toBe(commit)
  })

  it('answers the next question after its reading process was killed', async () => {
    const commit = await repositoryWithCommit('killed')
    await repositories.commit('killed', commit)
    for (const pid of readersOf('killed')) process.kill(pid, 'SIGKILL')
    // Whether that is noticed here already or not.
    expect((await repositories.commit('killed', commit)).id).toBe(commit)
  })

  it('leaves no index behind', async () => {
    const base = await repositoryWithCommit('tidy')
    const files = [{ path: 'a.txt', content: 'a' }]
    const author = { name: 'M', email: 'm@example.org' }
    await repositories.commitFiles('tidy', {
      branch: 'b',
      expectedHead: undefined,
      base,
      files,
      message: 'm',
      author,
      at: 0,
    })
    const left = execFileSync('ls', [repositories.path('tidy')], { encoding: 'utf8' })
    expect(left).not.toContain('index')
  })
})
