import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { LogGap } from '../ports/executor.ts'
import { Mask } from './decide/mask.ts'
import { maskFile, StepLog } from './step-log.ts'

const folder = mkdtempSync(join(tmpdir(), 'modelwright-log-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let count = 0

const logOf = (text: string | Buffer, options: { secrets?: string[]; gap?: LogGap; ended?: boolean } = {}) => {
  const path = join(folder, String(count++))
  writeFileSync(path, text)
  const { secrets = [], gap, ended = true } = options
  return { path, log: new StepLog({ path, mask: new Mask(secrets), gap, ended }) }
}

const wholeOf = async (log: StepLog, limit: number) => {
  let [text, offset] = ['', 0]
  for (;;) {
    const piece = await log.piece({ offset, limit })
    text += piece.text
    if (piece.ended || piece.offset === offset) return text
    offset = piece.offset
  }
}

describe('a log by pieces', () => {
  it('ends each piece at a line, and a line that is too long between two characters', async () => {
    const text = `one\ntwo\n${'ä€😀'.repeat(50)}\nlast`
    const { log } = logOf(text)
    expect((await log.piece({ offset: 0, limit: 10 })).text).toBe('one\ntwo\n')
    for (const limit of [7, 16, 33, 1000]) expect(await wholeOf(log, limit)).toBe(text)
  })

  it('is empty, and says whether more may come, before anything was written', async () => {
    const log = new StepLog({ path: join(folder, 'absent'), mask: new Mask([]), gap: undefined, ended: false })
    expect(await log.piece({ offset: 0, limit: 10 })).toEqual({ text: '', offset: 0, ended: false })
    expect((await log.tail(3)).text).toBe('')
    expect(await log.search({ text: 'x', offset: 0, limit: 3 })).toEqual({ items: [] })
  })

  it('masks a secret wherever a piece ends, also where it was written in two parts', async () => {
    const secret = 'sk-abcdefghijk'
    const text = `${'x'.repeat(40)}${secret} and ${Buffer.from(`u:${secret}`).toString('base64')}\nend\n`
    const { log } = logOf(text, { secrets: [secret] })
    for (let limit = 5; limit < 60; limit++) {
      const seen = await wholeOf(log, limit)
      expect(seen).toHaveLength(text.length)
      expect(seen).not.toMatch(/abc|YWJj/)
    }
    const { path, log: growing } = logOf('before sk-abcd', { secrets: [secret], ended: false })
    const first = await growing.piece({ offset: 0, limit: 1000 })
    expect(first.text).toBe('before ')
    appendFileSync(path, 'efghijk after\n')
    expect((await growing.piece({ offset: first.offset, limit: 1000 })).text).toBe(`${'*'.repeat(14)} after\n`)
  })

  it('says in its place what was given up', async () => {
    const { log } = logOf('aaaa\nbbbb\ncccc\n', { gap: { from: 5, to: 10 } })
    expect(await wholeOf(log, 1000)).toMatch(/^aaaa\n\n\[… 5 bytes were given up.*\]\ncccc\n$/)
  })
})

describe('the tail of a log', () => {
  it.each([
    [1, 'one\ntwo\nthree\n', 'three\n'],
    [2, 'one\ntwo\nthree', 'two\nthree'],
    [9, 'one\ntwo\n', 'one\ntwo\n'],
    [2, '\n\n\n', '\n\n'],
  ])('of %s lines of %j', async (lines, text, expected) => {
    expect(await logOf(text).log.tail(lines)).toEqual({ text: expected, offset: Buffer.byteLength(text), ended: true })
  })

  it('is read without the rest of a large log, and never longer than some megabytes', async () => {
    const { path, log } = logOf(Buffer.alloc(64_000_000, 'x'))
    appendFileSync(path, '\nlast words\n')
    expect((await log.tail(1)).text).toBe('last words\n')
    expect((await log.tail(2)).text.length).toBeLessThanOrEqual(4_000_000)
  })
})

describe('a search', () => {
  it('finds lines, page by page, across the pieces in which it reads', async () => {
    const lines = Array.from(
      { length: 60_000 },
      (_, i) => `line ${i} ${i % 20_000 === 7 ? 'needle' : 'hay'} ${'.'.repeat(20)}`,
    )
    const { log } = logOf(`${lines.join('\n')}\n`)
    const first = await log.search({ text: 'needle', offset: 0, limit: 2 })
    expect(first.items.map(({ line }) => line.slice(0, 18))).toEqual(['line 7 needle ....', 'line 20007 needle '])
    const rest = await log.search({ text: 'needle', offset: first.next!, limit: 2 })
    expect(rest.items.map(({ line }) => line.slice(0, 18))).toEqual(['line 40007 needle '])
    expect(rest.next).toBeUndefined()
  })

  it('finds what stands in the middle of a line of 64 MB, and shows what is around it', async () => {
    const bytes = Buffer.alloc(64_000_000, 'x')
    bytes.write('needle', 32_999_997)
    const { log } = logOf(bytes)
    const found = await log.search({ text: 'needle', offset: 0, limit: 5 })
    expect(found.items).toHaveLength(1)
    expect(found.items[0]!.line).toContain('xneedle')
    expect(found.items[0]!.line.length).toBeLessThanOrEqual(2_000)
    expect((await log.search({ text: 'needles', offset: 0, limit: 5 })).items).toEqual([])
  })

  it('finds no secret', async () => {
    const { log } = logOf('token sk-abcdefghijk\n', { secrets: ['sk-abcdefghijk'] })
    expect((await log.search({ text: 'abcdef', offset: 0, limit: 5 })).items).toEqual([])
  })
})

it('overwrites secrets for good once the step is over, and nothing else', async () => {
  const secret = 'sk-abcdefghijk'
  const text = `${'line\n'.repeat(400_000)}${secret}\n${Buffer.from(secret).toString('hex')}\nend\n`
  const { path } = logOf(text)
  for (let twice = 0; twice < 2; twice++) await maskFile(path, new Mask([secret]), undefined)
  const kept = readFileSync(path, 'utf8')
  expect(statSync(path).size).toBe(text.length)
  expect(kept.slice(-50)).toBe(`${'line\n'.repeat(400_000)}${'*'.repeat(14)}\n${'*'.repeat(28)}\nend\n`.slice(-50))
  expect(kept).toHaveLength(text.length)
})
