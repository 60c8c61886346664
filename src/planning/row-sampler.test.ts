import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { databases } from '../../test/support/databases.ts'
import { MemoryObjectStore } from '../adapters/objects/memory/memory-object-store.ts'
import type { Db } from '../db/index.ts'
import { hashShare } from '../math/hash-share.ts'
import { PlanStore } from './plan-store.ts'
import { sampleRows } from './row-sampler.ts'

describe('a part of the rows', () => {
  let db: Db
  let objects: MemoryObjectStore
  beforeEach(async () => {
    db = await databases[0]!.open()
    objects = new MemoryObjectStore()
  })
  afterEach(() => db.destroy())

  const part = async (text: string, share: number, key?: string, path = 'rows.csv') => {
    const { digest, size } = await objects.put(text)
    const input = { dataset: 'rows', path, digest, size }
    const made = await sampleRows({ objects, store: new PlanStore(db) }, { input, share, key })
    return { input, made, lines: new TextDecoder().decode(await objects.read(made.digest)).split('\n') }
  }
  const table = (ids: readonly string[]) => `id,note\n${ids.map((id) => `${id},"a, ""b"" of ${id}"`).join('\n')}\n`
  const ids = Array.from({ length: 2_000 }, (_, i) => `r${i}`)
  const idsIn = (lines: readonly string[]) => lines.slice(1, -1).map((line) => line.split(',')[0]!)

  it('holds about that share of them, as they are written, below the same header', async () => {
    const { input, made, lines } = await part(table(ids), 0.1, 'id')
    expect(lines[0]).toBe('id,note')
    expect(idsIn(lines).length).toBeGreaterThan(150)
    expect(idsIn(lines).length).toBeLessThan(250)
    expect(lines[1]).toBe(`${idsIn(lines)[0]},"a, ""b"" of ${idsIn(lines)[0]}"`)
    expect(made).toMatchObject({ dataset: 'rows', path: 'rows.csv' })
    expect(made.digest).not.toBe(input.digest)
  })

  it('holds the same rows whatever stands around them, and a larger part holds them too', async () => {
    const few = idsIn((await part(table(ids), 0.05, 'id')).lines)
    const reversed = idsIn((await part(table([...ids].reverse().slice(0, 1_500)), 0.05, 'id')).lines)
    expect(new Set(reversed)).toEqual(new Set(few.filter((id) => Number(id.slice(1)) >= 500)))
    const more = new Set(idsIn((await part(table(ids), 0.2, 'id')).lines))
    expect(few.every((id) => more.has(id))).toBe(true)
  })

  it('holds training and test rows alike', async () => {
    const test = idsIn((await part(table(ids), 0.1, 'id')).lines).filter((id) => hashShare(id) < 0.3)
    expect(test.length / 200).toBeGreaterThan(0.15)
    expect(test.length / 200).toBeLessThan(0.45)
  })

  it('is chosen by the whole row where no key is declared', async () => {
    const lines = (await part(table(ids), 0.1)).lines
    expect(idsIn(lines).length).toBeGreaterThan(150)
    expect(idsIn(lines)).not.toEqual(idsIn((await part(table(ids), 0.1, 'id')).lines))
  })

  it('keeps rows of several lines whole, and a file of nothing but a header', async () => {
    const { lines } = await part('id\tnote\na\t"one\ntwo"\n', 1, 'id', 'rows.tsv')
    expect(lines).toEqual(['id\tnote', 'a\t"one', 'two"', ''])
    expect((await part('id,note\n', 0.5, 'id')).lines).toEqual(['id,note', ''])
  })

  it('is read again only where it is not kept', async () => {
    const { input, made } = await part(table(ids), 0.1, 'id')
    await objects.remove(input.digest)
    const again = { input, share: 0.1, key: 'id' }
    expect(await sampleRows({ objects, store: new PlanStore(db) }, again)).toEqual(made)
  })

  it.each([
    ['rows.parquet', 'id,note\n', 'id', 'NotYetSupported'],
    ['rows.csv', 'id,note\na,b\n', 'name', 'DataUnreadable'],
    ['rows.csv', 'id,note\na,"b\n', 'id', 'DataUnreadable'],
  ])('is refused for %s of %j by "%s"', async (path, text, key, code) => {
    await expect(part(text, 0.5, key, path)).rejects.toMatchObject({ code })
  })
})
