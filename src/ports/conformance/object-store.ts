import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Digest } from '../../kernel/digest.ts'
import { isAppError } from '../../kernel/errors.ts'
import type { ObjectStore } from '../object-store.ts'

export function objectStoreConformance(
  name: string,
  make: () => Promise<{ store: ObjectStore; cleanup: () => Promise<void> }>,
): void {
  describe(`${name} keeps the object store's contract`, () => {
    let store: ObjectStore
    let cleanup: () => Promise<void>
    let folder: string
    beforeAll(async () => {
      const made = await make()
      store = made.store
      cleanup = made.cleanup
      folder = mkdtempSync(join(tmpdir(), 'modelwright-objects-'))
    })
    afterAll(async () => {
      rmSync(folder, { recursive: true, force: true })
      await cleanup()
    })

    // NIST's example for SHA-256.
    const abc = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad' as Digest
    const absent = `sha256:${'0'.repeat(64)}` as Digest
    const sha = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest
    const notFound = (error: unknown) => isAppError(error, 'NotFound')
    const large = Buffer.alloc(3_000_017, 'The quick brown fox. ')
    const listed = async () => {
      const found: { digest: Digest; size: number }[] = []
      for await (const object of store.list()) found.push(object)
      return found
    }

    it('names bytes by their SHA-256, whether text, bytes or a stream', async () => {
      for (const content of ['abc', Buffer.from('abc'), Readable.from([Buffer.from('a'), Buffer.from('bc')])])
        expect(await store.put(content)).toEqual({ digest: abc, size: 3 })
      expect(Buffer.from(await store.read(abc)).toString()).toBe('abc')
      expect((await listed()).filter((object) => object.digest === abc)).toHaveLength(1)
    })

    it('keeps the empty object', async () => {
      const { digest, size } = await store.put(Readable.from([]))
      expect([size, digest]).toEqual([0, sha(Buffer.alloc(0))])
      expect((await buffer(await store.open(digest))).length).toBe(0)
      await store.materialise(digest, join(folder, 'empty'))
      expect(statSync(join(folder, 'empty')).size).toBe(0)
    })

    it('gives back large objects byte for byte', async () => {
      const { digest, size } = await store.put(Readable.from([large.subarray(0, 1_000_000), large.subarray(1_000_000)]))
      expect([digest, size]).toEqual([sha(large), large.length])
      expect((await buffer(await store.open(digest))).equals(large)).toBe(true)
      expect(Buffer.from(await store.read(digest)).equals(large)).toBe(true)
      expect(await store.size(digest)).toBe(large.length)
    })

    it.each([
      [0, 0],
      [5, 9],
      [262_140, 262_150],
      [2_999_990, 3_000_016],
      [2_999_990, undefined],
      [10, 99_999_999],
      [3_000_017, undefined],
    ])('opens the range %i to %s, both ends included', async (start, end) => {
      const { digest } = await store.put(large)
      const expected = large.subarray(start, end === undefined ? undefined : end + 1)
      expect((await buffer(await store.open(digest, { start, end }))).equals(expected)).toBe(true)
    })

    it('gives back large objects that were put from memory', async () => {
      const bytes = Buffer.alloc(2_700_000, 'from memory')
      for (let again = 0; again < 2; again++) {
        const { digest } = await store.put(bytes)
        expect((await buffer(await store.open(digest))).equals(bytes)).toBe(true)
      }
    })

    it('accepts the expected digest and refuses other bytes, keeping nothing', async () => {
      await store.put('expected', sha(Buffer.from('expected')))
      const before = (await listed()).length
      for (const content of ['unexpected', Readable.from([Buffer.from('unexpected')])])
        await expect(store.put(content, abc)).rejects.toSatisfy((error) => isAppError(error, 'ObjectCorrupt'))
      expect(await store.has(sha(Buffer.from('unexpected')))).toBe(false)
      expect((await listed()).length).toBe(before)
    })

    it('keeps nothing of a stream that fails half-way', async () => {
      const before = (await listed()).length
      const failing = Readable.from(
        (async function* () {
          yield Buffer.from('half')
          throw new Error('the sender went away')
        })(),
      )
      await expect(store.put(failing)).rejects.toThrow('the sender went away')
      expect((await listed()).length).toBe(before)
    })

    it('takes the same bytes from many at once as one object', async () => {
      const puts = Array.from({ length: 12 }, (_, index) =>
        store.put(index % 2 ? 'crowd' : Readable.from([Buffer.from('crowd')])),
      )
      const digests = new Set((await Promise.all(puts)).map((object) => object.digest))
      expect([...digests]).toEqual([sha(Buffer.from('crowd'))])
      expect(Buffer.from(await store.read(sha(Buffer.from('crowd')))).toString()).toBe('crowd')
    })

    it.each([7, 2_500_000])('takes a file of %i bytes and leaves it as it is', async (size) => {
      const path = join(folder, `file-${size}`)
      writeFileSync(path, Buffer.alloc(size, 'z'), { mode: 0o640 })
      expect(await store.putFile(path)).toEqual({ digest: sha(Buffer.alloc(size, 'z')), size })
      writeFileSync(path, 'changed afterwards')
      expect((await store.read(sha(Buffer.alloc(size, 'z')))).length).toBe(size)
      expect(statSync(path).mode & 0o777).toBe(0o640)
    })

    it('says NotFound for an unknown digest', async () => {
      expect(await store.has(absent)).toBe(false)
      await expect(store.read(absent)).rejects.toSatisfy(notFound)
      await expect(store.open(absent)).rejects.toSatisfy(notFound)
      await expect(store.size(absent)).rejects.toSatisfy(notFound)
      await expect(store.materialise(absent, join(folder, 'absent'))).rejects.toSatisfy(notFound)
      expect(() => statSync(join(folder, 'absent'))).toThrow('ENOENT')
    })

    it.each([9, 2_000_000])('materialises %i bytes as a private, writable copy with the asked mode', async (size) => {
      const bytes = Buffer.alloc(size, 'm')
      const { digest } = await store.put(bytes)
      const path = join(folder, `copy-${size}`)
      await store.materialise(digest, path)
      expect(statSync(path).mode & 0o777).toBe(0o644)
      writeFileSync(path, 'scribbled over')
      expect(Buffer.from(await store.read(digest)).equals(bytes)).toBe(true)
      await store.materialise(digest, path, 0o755)
      expect(statSync(path).mode & 0o777).toBe(0o755)
      expect(readFileSync(path).equals(bytes)).toBe(true)
    })

    it('replaces a symbolic link where it materialises, and does not write through it', async () => {
      const outside = join(folder, 'outside')
      writeFileSync(outside, 'untouched')
      symlinkSync(outside, join(folder, 'link'))
      await store.materialise((await store.put('inside')).digest, join(folder, 'link'))
      expect(readFileSync(outside, 'utf8')).toBe('untouched')
      expect(readFileSync(join(folder, 'link'), 'utf8')).toBe('inside')
    })

    it.each([0, 11, 3_000_017])(
      'receives %i bytes, reads them in ranges, and settles them as what put would have made',
      async (size) => {
        const bytes = large.subarray(0, size)
        const halves = [bytes.subarray(0, size >> 1), bytes.subarray(size >> 1)]
        const received = await store.receive(Readable.from(halves))
        expect(received.size).toBe(size)
        expect((await store.receive(Readable.from([bytes]))).checksum).toBe(received.checksum)
        for (const range of [undefined, { start: 0, end: 4 }, { start: size >> 1 }, { start: size }]) {
          const expected = bytes.subarray(range?.start ?? 0, range?.end === undefined ? undefined : range.end + 1)
          expect((await buffer(await store.openReceived(received.id, range))).equals(expected)).toBe(true)
        }
        for (let again = 0; again < 2; again++)
          expect(await store.settle([received.id])).toEqual({ digest: sha(bytes), size })
        expect((await buffer(await store.open(sha(bytes)))).equals(bytes)).toBe(true)
        await store.discard(received.id)
        await store.discard(received.id)
        await expect(store.openReceived(received.id)).rejects.toSatisfy(notFound)
        await expect(store.settle([received.id])).rejects.toSatisfy(notFound)
        expect((await buffer(await store.open(sha(bytes)))).equals(bytes)).toBe(true)
      },
    )

    it('settles several received as one object, in the order given', async () => {
      const cuts = [large.subarray(0, 5), large.subarray(5, 1_500_000), large.subarray(1_500_000)]
      const ids: string[] = []
      for (const cut of cuts.toReversed()) ids.unshift((await store.receive(Readable.from([cut]))).id)
      expect(await store.settle(ids)).toEqual({ digest: sha(large), size: large.length })
      const listedIds: string[] = []
      for await (const id of store.listReceived()) listedIds.push(id)
      expect(listedIds).toEqual(expect.arrayContaining(ids))
      for (const id of ids) await store.discard(id)
    })

    it('keeps nothing of what it was receiving when the sender went away', async () => {
      const before: string[] = []
      for await (const id of store.listReceived()) before.push(id)
      const failing = Readable.from(
        (async function* () {
          yield large
          throw new Error('the sender went away')
        })(),
      )
      await expect(store.receive(failing)).rejects.toThrow('the sender went away')
      const after: string[] = []
      for await (const id of store.listReceived()) after.push(id)
      expect(after.sort()).toEqual(before.sort())
    })

    it('tells by its own time what is idle, and removes no object that was put within the time', async () => {
      const { digest } = await store.put('idle')
      const { id } = await store.receive(Readable.from([Buffer.from('idle too')]))
      expect([await store.isReceivedIdle(id, 60_000), await store.isReceivedIdle(id, 0)]).toEqual([false, true])
      expect(await store.removeIdle(digest, 60_000)).toBe(false)
      expect(await store.has(digest)).toBe(true)
      expect(await store.removeIdle(digest, 0)).toBe(true)
      expect([await store.has(digest), await store.removeIdle(digest, 0)]).toEqual([false, false])
      await store.put('idle')
      expect(Buffer.from(await store.read(digest)).toString()).toBe('idle')
    })

    it('lists what is kept, and forgets what was removed, twice if asked', async () => {
      const { digest } = await store.put('to be removed')
      expect(await listed()).toContainEqual({ digest, size: 13 })
      await store.remove(digest)
      await store.remove(digest)
      expect(await store.has(digest)).toBe(false)
      expect((await listed()).map((object) => object.digest)).not.toContain(digest)
    })
  })
}
