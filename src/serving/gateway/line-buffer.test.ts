import { expect, it } from 'vitest'
import { LineBuffer } from './line-buffer.ts'

it('holds the lines that were added since it was cleared, whatever they hold and however long they are', () => {
  const buffer = new LineBuffer()
  for (const lines of [['a', 'é😀'], ['b'.repeat(3_000_000), '', 'ü'.repeat(2_000_000)], ['c']]) {
    buffer.clear()
    for (const line of lines) buffer.add({ texts: [line] })
    expect(buffer.bytes.equals(Buffer.from(lines.map((line) => `${line}\n`).join('')))).toBe(true)
    expect(buffer.lines).toBe(lines.length)
  }
})

it('is full before usual lines need more memory', () => {
  const buffer = new LineBuffer()
  buffer.add({ texts: ['x'.repeat(1_000)] })
  expect(buffer.isFull).toBe(false)
  buffer.add({ texts: ['x'.repeat(600_000)] })
  expect(buffer.isFull).toBe(true)
})
