import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { digestOf } from '../../kernel/digest.ts'
import { ConversionCache } from './conversion-cache.ts'

const converted = new URL('../../../test/fixtures/converted/model', import.meta.url).pathname
let folder: string
let model: string
let cache: ConversionCache

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mw-conversions-'))
  model = join(folder, 'model')
  mkdirSync(model)
  writeFileSync(join(model, 'MLmodel'), 'flavors: {}')
  writeFileSync(join(model, 'model.pkl'), 'weights')
  cache = new ConversionCache(join(folder, 'cache'), digestOf('converter'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

it('knows a model by its bytes and by what converts it, not by its place', async () => {
  const key = await cache.key(model)
  cpSync(model, join(folder, 'elsewhere'), { recursive: true })
  expect(await cache.key(join(folder, 'elsewhere'))).toBe(key)
  expect(await new ConversionCache(folder, digestOf('another')).key(model)).not.toBe(key)
  writeFileSync(join(model, 'model.pkl'), 'other weights')
  expect(await cache.key(model)).not.toBe(key)
})

it('gives a conversion that is whole, and none before', async () => {
  const key = await cache.key(model)
  expect(await cache.find(key)).toBeUndefined()
  const workspace = await cache.workspace(Date.now())
  cpSync(converted, join(workspace, 'model'), { recursive: true })
  expect(await cache.find(key)).toBeUndefined()
  const kept = await cache.keep(key, workspace)
  expect(await cache.find(key)).toEqual({ folder: kept })
})

it('takes the conversion of another process that was sooner', async () => {
  const key = await cache.key(model)
  const [first, second] = [await cache.workspace(Date.now()), await cache.workspace(Date.now())]
  for (const workspace of [first, second]) cpSync(converted, join(workspace, 'model'), { recursive: true })
  expect(await cache.keep(key, second)).toBe(await cache.keep(key, first))
})

it('makes one again that somebody has damaged, and forgets one that cannot be used', async () => {
  const key = await cache.key(model)
  for (let times = 0; times < 2; times++) {
    const workspace = await cache.workspace(Date.now())
    cpSync(converted, join(workspace, 'model'), { recursive: true })
    const kept = await cache.keep(key, workspace)
    expect(await cache.find(key)).toEqual({ folder: kept })
    writeFileSync(join(kept, 'modelwright-conversion.json'), '{')
    expect(await cache.find(key)).toBeUndefined()
  }
  await cache.forget(key)
  expect(readdirSync(join(folder, 'cache'))).toEqual([])
})

it('remembers what was refused, and why', async () => {
  const key = await cache.key(model)
  await cache.refuse(key, await cache.workspace(Date.now()), 'It is a neural network.', 'Serve it as it is.')
  expect(await cache.find(key)).toEqual({ refused: 'It is a neural network.', next: 'Serve it as it is.' })
})

it('sweeps out what a killed process left a day ago, and nothing younger', async () => {
  const [old, young] = [await cache.workspace(Date.now()), await cache.workspace(Date.now())]
  const twoDaysAgo = Date.now() / 1000 - 2 * 86_400
  utimesSync(old, twoDaysAgo, twoDaysAgo)
  await cache.workspace(Date.now())
  const left = readdirSync(join(folder, 'cache'))
  expect(left.map((name) => join(folder, 'cache', name))).toContain(young)
  expect(left).toHaveLength(2)
})
