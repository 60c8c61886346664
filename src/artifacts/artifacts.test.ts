import { mkdir, mkdtemp, readFile, readlink, rm, rmdir, stat, symlink, unlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { MemoryObjectStore } from '../adapters/objects/memory/memory-object-store.ts'
import { type Db, transact } from '../db/index.ts'
import { type Digest, digestOf } from '../kernel/digest.ts'
import type { DatasetVersion } from './artifact.ts'
import { ArtifactService } from './artifact-service.ts'

eachDatabase('artifacts', (database) => {
  let db: Db
  let artifacts: ArtifactService
  let objects: MemoryObjectStore
  let dir: string

  beforeEach(async () => {
    db = await database.open()
    const clock = { now: () => 1000, sleep: async () => {} }
    objects = new MemoryObjectStore()
    artifacts = new ArtifactService({ db, clock, objects })
    dir = await mkdtemp(join(tmpdir(), 'modelwright-artifacts-'))
  })
  afterEach(async () => {
    await db.destroy()
    await rm(dir, { recursive: true })
  })

  const fill = async (files: Record<string, string>) => {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(join(dir, path, '..'), { recursive: true })
      await writeFile(join(dir, path), content)
    }
  }

  describe('a folder', () => {
    it('comes back with its paths, bytes and executable files', async () => {
      await fill({ 'a.txt': 'A', 'sub/deep/b.txt': 'B' })
      await writeFile(join(dir, 'run.sh'), '#!/bin/sh', { mode: 0o755 })
      const { digest, manifest } = await artifacts.storeFolder(dir)
      expect(manifest.files.map((file) => file.path)).toEqual(['a.txt', 'run.sh', 'sub/deep/b.txt'])
      const out = join(dir, 'out')
      await artifacts.materialiseTree(digest, out)
      expect(await readFile(join(out, 'sub/deep/b.txt'), 'utf8')).toBe('B')
      expect((await stat(join(out, 'run.sh'))).mode & 0o777).toBe(0o755)
      expect((await stat(join(out, 'a.txt'))).mode & 0o777).toBe(0o644)
    })

    it('has the digest of its content, whatever the times and the order of writing', async () => {
      await fill({ a: '1', b: '2' })
      const first = await artifacts.storeFolder(dir)
      await rm(join(dir, 'a'))
      await rm(join(dir, 'b'))
      await fill({ b: '2', a: '1' })
      expect((await artifacts.storeFolder(dir)).digest).toBe(first.digest)
      await fill({ b: '3' })
      expect((await artifacts.storeFolder(dir)).digest).not.toBe(first.digest)
    })

    it('can be written in part', async () => {
      await fill({ 'data/a': '1', 'data/b': '2', other: '3', database: '4' })
      const { digest } = await artifacts.storeFolder(dir)
      const tree = await artifacts.materialiseTree(digest, join(dir, 'out'), { only: ['data', 'other'] })
      expect(tree.files.map((file) => file.path)).toEqual(['data/a', 'data/b', 'other'])
    })

    it('takes the content of a link that stays inside, and keeps no link', async () => {
      await fill({ 'real/a': '1' })
      await symlink('real', join(dir, 'linked'))
      const { digest, manifest } = await artifacts.storeFolder(dir)
      expect(manifest.files.map((file) => file.path)).toEqual(['linked/a', 'real/a'])
      await artifacts.materialiseTree(digest, join(dir, 'out'))
      await expect(readlink(join(dir, 'out/linked'))).rejects.toThrow()
    })

    it.each([
      ['leaves the folder', '/etc/hostname'],
      ['leaves the folder upwards', '..'],
      ['leads nowhere', 'gone'],
      ['leads back to a folder above it', '.'],
    ])('is refused with a link that %s', async (_, target) => {
      await symlink(target, join(dir, 'link'))
      await expect(artifacts.storeFolder(dir)).rejects.toMatchObject({ code: 'BadRequest' })
    })

    it.each(['file', 'folder'])('is refused with a %s in it whose name is not UTF-8', async (kind) => {
      const path = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xfe])])
      await (kind === 'file' ? writeFile(path, '1') : mkdir(path))
      await expect(artifacts.storeFolder(dir)).rejects.toMatchObject({ code: 'BadRequest' })
      await (kind === 'file' ? unlink(path) : rmdir(path))
    })

    it('forgets what was altered where it lies, and nothing else of the folder', async () => {
      await fill({ whole: 'whole', torn: 'torn' })
      const { digest, manifest } = await artifacts.storeFolder(dir)
      expect(await artifacts.forgetAltered(digest)).toEqual([])
      const torn = manifest.files.find(({ path }) => path === 'torn')!.digest
      await objects.remove(torn)
      expect(await artifacts.forgetAltered(digest)).toEqual(['torn'])
      expect(await objects.has(digestOf('whole'))).toBe(true)
    })

    it('is refused with a socket in it', async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(join(dir, 'socket'), resolve))
      await expect(artifacts.storeFolder(dir)).rejects.toThrow('neither a file nor a folder')
      await new Promise((resolve) => server.close(resolve))
    })
  })

  it.each(['../x', '/x', 'a/../../x', 'a\\..\\x', '', 'a//b', '%2e%2e/x'])(
    'refuses a manifest with the path %j',
    async (path) => {
      const file = { path, digest: digestOf('x'), size: 1 }
      await expect(artifacts.storeTree({ files: [file] })).rejects.toMatchObject({ code: 'BadRequest' })
    },
  )

  it('refuses a manifest in which a path is a file and a folder', async () => {
    const files = ['a', 'a/b'].map((path) => ({ path, digest: digestOf('x'), size: 1 }))
    await expect(artifacts.storeTree({ files })).rejects.toThrow('"a" is a file and a folder')
  })

  describe('artifacts by path', () => {
    it('are listed one level at a time, however much lies below', async () => {
      for (let i = 0; i < 600; i++) await artifacts.files.put(`run/many/${i}/x`, 'x')
      await artifacts.files.put('run/a.txt', 'abc')
      await artifacts.files.put('run/zz', '')
      await artifacts.files.put('runner/other', 'x')
      expect(await artifacts.files.list('run')).toEqual([
        { name: 'a.txt', kind: 'file', size: 3 },
        { name: 'many', kind: 'folder' },
        { name: 'zz', kind: 'file', size: 0 },
      ])
      expect(await artifacts.files.list('run/many')).toHaveLength(600)
      expect((await artifacts.files.list('')).map((entry) => entry.name)).toEqual(['run', 'runner'])
      expect(await artifacts.files.list('run/a.txt')).toEqual([])
    })

    it('are replaced by the same path again, and read in ranges', async () => {
      await artifacts.files.put('a', 'old')
      await artifacts.files.put('a', '0123456789')
      expect(await text((await artifacts.files.open('a', { start: 2, end: 4 })).content)).toBe('234')
    })

    it('become a tree named from their folder on', async () => {
      await artifacts.files.put('0/r/artifacts/model/MLmodel', 'x')
      await artifacts.files.put('0/r/artifacts/model/data/w', 'y')
      const tree = await artifacts.files.treeUnder('0/r/artifacts/model')
      expect(tree.files.map((file) => file.path)).toEqual(['MLmodel', 'data/w'])
      expect((await artifacts.files.treeUnder('0/r/artifacts/mod')).files).toEqual([])
    })

    it('cannot be a file and a folder at once', async () => {
      await artifacts.files.put('a/b', 'x')
      await expect(artifacts.files.put('a', 'x')).rejects.toMatchObject({ code: 'Conflict' })
      await expect(artifacts.files.put('a/b/c', 'x')).rejects.toMatchObject({ code: 'Conflict' })
    })
  })

  it('keeps one version per content of a dataset, the newest content last', async () => {
    const version = (digest: string, createdAt: number): DatasetVersion => ({
      project: 'p',
      dataset: 'd',
      digest: digestOf(digest) as Digest,
      rows: 7,
      origin: { kind: 'git', path: 'data.csv' },
      createdAt,
    })
    await transact(db, async (tx) => {
      await artifacts.recordDatasetVersion(tx, version('one', 1))
      await artifacts.recordDatasetVersion(tx, version('two', 2))
      await artifacts.recordDatasetVersion(tx, version('one', 3))
    })
    expect((await artifacts.datasetVersions('p')).map((found) => found.createdAt)).toEqual([2, 1])
    expect(await artifacts.latestDatasetVersion('p', 'd')).toEqual(version('two', 2))
    expect(await artifacts.latestDatasetVersion('p', 'other')).toBeUndefined()
  })
})
