import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { crc32 } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import type { Digest } from '../../../kernel/digest.ts'
import { isAppError } from '../../../kernel/errors.ts'
import { objectStoreConformance } from '../../../ports/conformance/object-store.ts'
import { FsObjectStore } from './fs-object-store.ts'

objectStoreConformance('objects/fs', async () => {
  const root = mkdtempSync(join(tmpdir(), 'modelwright-fs-'))
  return { store: new FsObjectStore(root), cleanup: async () => rmSync(root, { recursive: true, force: true }) }
})

describe('the folder of objects', () => {
  const root = mkdtempSync(join(tmpdir(), 'modelwright-fs-'))
  const store = new FsObjectStore(root)
  const fileOf = (digest: Digest) => join(root, 'sha256', digest.slice(7, 9), digest.slice(9))
  const corrupt = (error: unknown) => isAppError(error, 'ObjectCorrupt')
  const alter = (digest: Digest) => {
    const bytes = readFileSync(fileOf(digest))
    bytes[bytes.length - 1] = bytes[bytes.length - 1]! ^ 1
    chmodSync(fileOf(digest), 0o644)
    writeFileSync(fileOf(digest), bytes)
  }
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  it.each([10, 1_500_000])(
    'ends with ObjectCorrupt when one bit of %i bytes was altered, however they are read',
    async (size) => {
      const { digest } = await store.put(Buffer.alloc(size, 'c'))
      alter(digest)
      await expect(store.read(digest)).rejects.toSatisfy(corrupt)
      await expect(store.open(digest).then(buffer)).rejects.toSatisfy(corrupt)
      await expect(store.open(digest, { start: 0, end: 3 }).then(buffer)).rejects.toSatisfy(corrupt)
      await expect(store.materialise(digest, join(root, 'copy'))).rejects.toSatisfy(corrupt)
      expect(readdirSync(root).filter((name) => !['incoming', 'sha256', 'sums'].includes(name))).toEqual([])
    },
  )

  it.each([10, 1_500_000])('mends altered bytes (%i) when the right ones are put again', async (size) => {
    const bytes = Buffer.alloc(size, 'd')
    for (const again of [() => bytes, () => Readable.from([bytes])]) {
      const { digest } = await store.put(bytes)
      alter(digest)
      await store.put(again())
      expect(Buffer.from(await store.read(digest)).equals(bytes)).toBe(true)
    }
  })

  it('finds a bit that flipped without a trace in the block where it lies, and looks at no other block of a range', async () => {
    const { digest } = await store.put(Buffer.alloc(2_500_000, 'r'))
    const { atime, mtime } = statSync(fileOf(digest))
    alter(digest)
    utimesSync(fileOf(digest), atime, mtime)
    // A time of writing has more digits than can be set again: the checksums are kept for the file as it is now.
    const sums = join(root, 'sums', digest.slice(7, 9), digest.slice(9))
    const facts = statSync(fileOf(digest), { bigint: true })
    const text = readFileSync(sums, 'utf8')
      .slice(readFileSync(sums, 'utf8').indexOf('\n') + 1)
      .replace(/"identity":"[^"]*"/, `"identity":"${[facts.dev, facts.ino, facts.size, facts.mtimeNs].join(' ')}"`)
    writeFileSync(sums, `${crc32(text)}\n${text}`)
    const fresh = new FsObjectStore(root)
    await expect(fresh.open(digest).then(buffer)).rejects.toThrow('altered in block 2')
    expect((await buffer(await fresh.open(digest, { start: 1_048_570, end: 1_048_580 }))).toString()).toBe(
      'r'.repeat(11),
    )
  })

  it('reads what was kept before there were checksums, and with damaged ones', async () => {
    const { digest } = await store.put(Buffer.alloc(2_500_000, 'o'))
    const sums = join(root, 'sums', digest.slice(7, 9), digest.slice(9))
    for (const spoil of [() => rmSync(sums), () => writeFileSync(sums, '12\n{"identity":"x","sums":[1]}')]) {
      spoil()
      expect((await buffer(await new FsObjectStore(root).open(digest))).length).toBe(2_500_000)
    }
  })

  it('brings back an object that was on its way out when the process was killed', async () => {
    const { digest } = await store.put('nearly gone')
    mkdirSync(join(root, 'unused'), { recursive: true })
    renameSync(fileOf(digest), join(root, 'unused', digest.slice(7)))
    await store.clearLeftovers()
    expect(Buffer.from(await store.read(digest)).toString()).toBe('nearly gone')
  })

  it('keeps its files read-only and leaves nothing in the folder of incoming ones', async () => {
    const { digest } = await store.put('read-only')
    expect(statSync(fileOf(digest)).mode & 0o777).toBe(0o444)
    await expect(store.put('other', digest)).rejects.toSatisfy(corrupt)
    expect(readdirSync(join(root, 'incoming'))).toEqual([])
  })

  it('clears what a killed process left half written', async () => {
    writeFileSync(join(root, 'incoming', 'left'), 'half')
    await store.clearLeftovers()
    await store.put('next')
    expect(readdirSync(join(root, 'incoming'))).toEqual([])
  })

  it('refuses a name that is no digest before it touches a path', async () => {
    await expect(store.read('sha256:../../../etc/passwd' as Digest)).rejects.toThrow('is no digest')
  })

  it('does not hold a stream of 256 MB in memory', async () => {
    const chunk = Buffer.alloc(1024 * 1024, 'x')
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    const content = Readable.from(
      (async function* () {
        for (let sent = 0; sent < 256; sent++) {
          most = Math.max(most, process.memoryUsage().arrayBuffers - before)
          yield Buffer.from(chunk)
        }
      })(),
      { highWaterMark: 1 },
    )
    const { digest } = await store.put(content)
    for await (const _ of await store.open(digest)) most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    expect(most).toBeLessThan(128 * 1024 * 1024)
  })
})

const full = mkdtempSync(join(tmpdir(), 'modelwright-full-'))
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', full]).status === 0
if (!mounted) console.warn('objects/fs on a full disk: skipped, a tmpfs of 1 MB cannot be mounted here')

describe.skipIf(!mounted)('the folder of objects on a full disk', () => {
  const roomy = mkdtempSync(join(tmpdir(), 'modelwright-fs-'))
  afterAll(() => {
    spawnSync('umount', [full])
    for (const folder of [full, roomy]) rmSync(folder, { recursive: true, force: true })
  })

  it('says StorageFull, keeps nothing half written, and goes on serving what it has', async () => {
    const store = new FsObjectStore(join(full, 'objects'))
    const small = await store.put('small')
    const big = join(tmpdir(), `modelwright-big-${process.pid}`)
    writeFileSync(big, Buffer.alloc(2_000_000))
    for (const put of [
      () => store.put(Buffer.alloc(2_000_000)),
      () => store.put(Readable.from([Buffer.alloc(900_000), Buffer.alloc(900_000)])),
      () => store.putFile(big),
      () => store.receive(Readable.from([Buffer.alloc(900_000), Buffer.alloc(900_000)])),
    ]) {
      await expect(put()).rejects.toSatisfy((error) => isAppError(error, 'StorageFull'))
      expect(readdirSync(join(full, 'objects', 'incoming'))).toEqual([])
    }
    rmSync(big)
    expect(Buffer.from(await store.read(small.digest)).toString()).toBe('small')
    const elsewhere = new FsObjectStore(roomy)
    const large = await elsewhere.put(Buffer.alloc(2_000_000, 'l'))
    await expect(elsewhere.materialise(large.digest, join(full, 'copy'))).rejects.toSatisfy((error) =>
      isAppError(error, 'StorageFull'),
    )
    expect(readdirSync(full)).toEqual(['objects'])
  })
})
