import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isAppError } from '../../kernel/errors.ts'
import type { CommitId } from '../../kernel/ids.ts'
import type { FileCommit, Repositories } from '../repository.ts'

/** The suite drives the stock `git` program on the kept repositories, as a pushing client does. */
export function repositoryConformance(
  name: string,
  make: () => Promise<{ repositories: Repositories; cleanup: () => Promise<void> }>,
): void {
  describe(`${name} keeps the repositories' contract`, () => {
    let repositories: Repositories
    let cleanup: () => Promise<void>
    let work: string
    let first: CommitId
    let second: CommitId
    let pushed = 0
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
    const git = (...args: string[]): string =>
      execFileSync('git', ['-c', 'user.name=Ada Löw', '-c', 'user.email=ada@example.org', '-C', work, ...args], {
        encoding: 'utf8',
        env: {
          PATH: process.env.PATH,
          HOME: work,
          GIT_CONFIG_NOSYSTEM: '1',
          GIT_COMMITTER_DATE: '2020-02-02T02:02:02Z',
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      }).trim()
    const put = (path: string, content: string) => {
      mkdirSync(dirname(join(work, path)), { recursive: true })
      writeFileSync(join(work, path), content)
    }
    const commitAll = (message: string): CommitId => {
      git('add', '-A')
      git('commit', '-q', '--allow-empty', '-m', message)
      return git('rev-parse', 'HEAD') as CommitId
    }
    const notFound = (error: unknown) => isAppError(error, 'NotFound')
    const unknownId = '1234567890123456789012345678901234567890' as CommitId

    beforeAll(async () => {
      const made = await make()
      repositories = made.repositories
      cleanup = made.cleanup
      work = mkdtempSync(join(tmpdir(), 'modelwright-work-'))
      git('init', '-q', '-b', 'main')
      put('modelwright.yaml', 'project: one # kept\n')
      put('src/train.py', 'print(1)\n')
      put('odd/a b\n"c"\té.txt', 'odd')
      put('empty', '')
      put('run.sh', '#!/bin/sh\n')
      chmodSync(join(work, 'run.sh'), 0o755)
      symlinkSync('src/train.py', join(work, 'link'))
      first = commitAll('First: ünïcode\n\nwith a body')
      put('src/train.py', 'print(2)\n')
      second = commitAll('Second')
      await repositories.create('project')
      git('push', '-q', repositories.path('project'), 'main', 'main:feature/x')
    })
    afterAll(async () => {
      rmSync(work, { recursive: true, force: true })
      await cleanup()
    })

    const change = (more: Partial<FileCommit> = {}): FileCommit => ({
      branch: `bot/${pushed++}`,
      expectedHead: undefined,
      base: second,
      files: [{ path: 'modelwright.yaml', content: 'project: two\n' }],
      message: 'Promote\n\nExecution: 1\n',
      author: { name: 'Modelwright', email: 'modelwright@example.org' },
      at: 1_700_000_000_000,
      ...more,
    })

    it('creates a repository twice without harm to what it holds', async () => {
      await repositories.create('project')
      expect(await repositories.head('project', 'main')).toBe(second)
    })

    it.each(['../x', 'a/b', '', '.hidden', '-c', 'a..b', 'x.git', 'a\nb', 'a\0b', 'x'.repeat(200)])(
      'refuses the repository name %j',
      async (bad) => {
        await expect(repositories.create(bad)).rejects.toSatisfy((error) => isAppError(error, 'BadRequest'))
        expect(() => repositories.path(bad)).toThrow()
      },
    )

    it.each(['', '-d', 'a..b', 'a b', 'a\nb', 'x.lock', '/x', 'x/', 'a@{0}', 'a^', '.x', 'a/.b', 'a:b', 'a\\b', '@'])(
      'refuses the branch name %j',
      async (bad) => {
        await expect(repositories.head('project', bad)).rejects.toSatisfy((error) => isAppError(error, 'BadRequest'))
        await expect(repositories.deleteBranch('project', bad)).rejects.toSatisfy((error) =>
          isAppError(error, 'BadRequest'),
        )
      },
    )

    it('tells heads, and undefined for a branch that is not there', async () => {
      expect(await repositories.head('project', 'main')).toBe(second)
      expect(await repositories.head('project', 'none')).toBeUndefined()
      expect(await repositories.branches('project')).toEqual(
        expect.arrayContaining([
          { branch: 'main', head: second },
          { branch: 'feature/x', head: second },
        ]),
      )
    })

    it('sees a push that was made while it was reading', async () => {
      git('push', '-q', repositories.path('project'), `${first}:refs/heads/moving`)
      expect(await repositories.head('project', 'moving')).toBe(first)
      put('late.txt', 'late')
      const late = commitAll('Late')
      git('push', '-q', repositories.path('project'), `${late}:refs/heads/moving`)
      git('reset', '-q', '--hard', second)
      expect(await repositories.head('project', 'moving')).toBe(late)
      expect(text(await repositories.readFile('project', late, 'late.txt'))).toBe('late')
    })

    it('tells a commit with parents, author, whole message and time', async () => {
      expect(await repositories.commit('project', first)).toEqual({
        id: first,
        parents: [],
        author: 'Ada Löw <ada@example.org>',
        message: 'First: ünïcode\n\nwith a body\n',
        at: Date.parse('2020-02-02T02:02:02Z'),
      })
      expect((await repositories.commit('project', second)).parents).toEqual([first])
      expect((await repositories.commit('project', second.slice(0, 10))).id).toBe(second)
    })

    it('lists every file with mode and size, whatever its name', async () => {
      const entries = await repositories.tree('project', first)
      expect(Object.fromEntries(entries.map((entry) => [entry.path, [entry.mode, entry.size]]))).toEqual({
        'modelwright.yaml': ['file', 20],
        'src/train.py': ['file', 9],
        'odd/a b\n"c"\té.txt': ['file', 3],
        empty: ['file', 0],
        'run.sh': ['executable', 10],
        link: ['symlink', 12],
      })
      const odd = entries.find((entry) => entry.path.startsWith('odd/'))!
      expect(text(await repositories.readBlob('project', odd.blob))).toBe('odd')
    })

    it('reads files of any commit, also empty, binary, large and oddly named ones', async () => {
      expect(text(await repositories.readFile('project', first, 'src/train.py'))).toBe('print(1)\n')
      expect(text(await repositories.readFile('project', second, 'src/train.py'))).toBe('print(2)\n')
      expect((await repositories.readFile('project', first, 'empty')).length).toBe(0)
      expect(text(await repositories.readFile('project', first, 'odd/a b\n"c"\té.txt'))).toBe('odd')
      const large = `${'0123456789abcde\n'.repeat(200_000)}\0end`
      put('large.bin', large)
      const commit = commitAll('Large')
      git('push', '-q', repositories.path('project'), `${commit}:refs/heads/large`)
      git('reset', '-q', '--hard', second)
      const read = await Promise.all(
        ['large.bin', 'src/train.py', 'large.bin'].map((path) => repositories.readFile('project', commit, path)),
      )
      expect(read.map((bytes) => text(bytes) === large)).toEqual([true, false, true])
    })

    it('does not follow a symbolic link out of the repository', async () => {
      expect(text(await repositories.readFile('project', first, 'link'))).toBe('src/train.py')
    })

    it.each(['nothing', 'src', '', '../x', './src/train.py', '/etc/passwd', 'src/train.py/x', 'x\ny'])(
      'throws NotFound for the path %j',
      async (path) => {
        await expect(repositories.readFile('project', first, path)).rejects.toSatisfy(notFound)
      },
    )

    it('throws NotFound for unknown repositories, commits and blobs', async () => {
      const { blob } = (await repositories.tree('project', first))[0]!
      for (const read of [
        () => repositories.commit('project', unknownId),
        () => repositories.commit('project', 'main'),
        () => repositories.commit('project', '--help'),
        () => repositories.commit('project', blob),
        () => repositories.commit('nowhere', first),
        () => repositories.head('nowhere', 'main'),
        () => repositories.tree('project', unknownId),
        () => repositories.tree('project', '-r' as CommitId),
        () => repositories.readBlob('project', unknownId),
        () => repositories.readBlob('project', first),
        () => repositories.log('project', unknownId, { limit: 3 }),
        () => repositories.isAncestor('project', unknownId, first),
      ])
        await expect(read()).rejects.toSatisfy(notFound)
    })

    it('tells the history, newest first, up to a commit and a limit', async () => {
      const ids = async (options: { until?: CommitId; limit: number }) =>
        (await repositories.log('project', second, options)).map((commit) => commit.id)
      expect(await ids({ limit: 10 })).toEqual([second, first])
      expect(await ids({ limit: 1 })).toEqual([second])
      expect(await ids({ until: first, limit: 10 })).toEqual([second])
      expect(await ids({ limit: 0 })).toEqual([])
    })

    it('tells which commit leads to which', async () => {
      expect(await repositories.isAncestor('project', first, second)).toBe(true)
      expect(await repositories.isAncestor('project', first, first)).toBe(true)
      expect(await repositories.isAncestor('project', second, first)).toBe(false)
    })

    it('reads what waits in quarantine, and only for that call', async () => {
      put('quarantined.txt', 'not yet accepted')
      const waiting = commitAll('Waiting')
      git('reset', '-q', '--hard', second)
      const quarantine = {
        objectDirectory: join(work, '.git/objects'),
        alternates: join(repositories.path('project'), 'objects'),
      }
      expect((await repositories.commit('project', waiting, quarantine)).parents).toEqual([second])
      expect(text(await repositories.readFile('project', waiting, 'quarantined.txt', quarantine))).toBe(
        'not yet accepted',
      )
      expect((await repositories.tree('project', waiting, quarantine)).map((entry) => entry.path)).toContain(
        'quarantined.txt',
      )
      await expect(repositories.commit('project', waiting)).rejects.toSatisfy(notFound)
    })

    it('commits files on a new branch and leaves every other file and mode as it was', async () => {
      const made = change({
        files: [
          { path: 'modelwright.yaml', content: 'project: two\n' },
          { path: 'run.sh', content: '#!/bin/sh\ntrue\n' },
          { path: 'new/deep/file.txt', content: 'né\n' },
        ],
      })
      const commit = (await repositories.commitFiles('project', made)) as CommitId
      expect(await repositories.head('project', made.branch)).toBe(commit)
      expect(await repositories.commit('project', commit)).toEqual({
        id: commit,
        parents: [second],
        author: 'Modelwright <modelwright@example.org>',
        message: made.message,
        at: made.at,
      })
      const before = await repositories.tree('project', second)
      const after = await repositories.tree('project', commit)
      const touched = made.files.map((file) => file.path)
      expect(after.filter((entry) => !touched.includes(entry.path))).toEqual(
        before.filter((entry) => !touched.includes(entry.path)),
      )
      expect(after.find((entry) => entry.path === 'run.sh')?.mode).toBe('executable')
      expect(text(await repositories.readFile('project', commit, 'new/deep/file.txt'))).toBe('né\n')
    })

    it('commits on the branch whose head is as expected', async () => {
      const made = change({ branch: 'feature/x', expectedHead: second })
      const commit = (await repositories.commitFiles('project', made)) as CommitId
      expect(await repositories.head('project', 'feature/x')).toBe(commit)
      expect((await repositories.commit('project', commit)).parents).toEqual([second])
    })

    it('makes the same commit when the same intent is carried out again', async () => {
      const made = change()
      const commit = await repositories.commitFiles('project', made)
      expect(await repositories.commitFiles('project', made)).toBe(commit)
      await repositories.deleteBranch('project', made.branch)
      expect(await repositories.commitFiles('project', made)).toBe(commit)
    })

    it('returns moved, and changes nothing, where the head is not as expected', async () => {
      const before = await repositories.branches('project')
      expect(await repositories.commitFiles('project', change({ branch: 'main', expectedHead: first }))).toBe('moved')
      expect(await repositories.commitFiles('project', change({ branch: 'main' }))).toBe('moved')
      expect(await repositories.commitFiles('project', change({ branch: 'gone', expectedHead: second }))).toBe('moved')
      expect(await repositories.branches('project')).toEqual(before)
    })

    it('lets one of several commits to one branch win and tells the others moved', async () => {
      const branch = 'contended'
      const results = await Promise.all(
        [1, 2, 3].map((number) =>
          repositories.commitFiles('project', change({ branch, message: `Attempt ${number}` })),
        ),
      )
      expect(results.filter((result) => result === 'moved')).toHaveLength(2)
      expect(results).toContain(await repositories.head('project', branch))
    })

    it.each(['../out', '/abs', 'a/../../b', '.git/config', 'a//b', ''])(
      'refuses to commit the path %j',
      async (path) => {
        await expect(
          repositories.commitFiles('project', change({ files: [{ path, content: 'x' }] })),
        ).rejects.toSatisfy((error) => isAppError(error, 'BadRequest'))
      },
    )

    it('deletes a branch, and does not mind if it is gone', async () => {
      const made = change()
      await repositories.commitFiles('project', made)
      await repositories.deleteBranch('project', made.branch)
      await repositories.deleteBranch('project', made.branch)
      expect(await repositories.head('project', made.branch)).toBeUndefined()
    })
  })
}
