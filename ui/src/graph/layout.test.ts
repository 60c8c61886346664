import { describe, expect, it } from 'vitest'
import { criticalPath, layOut, withoutShortcuts } from './layout.ts'

const box = (id: string, after: string[], durationMs = 0) => ({ id, after, durationMs })

describe('The graph of steps', () => {
  const diamond = [box('a', []), box('b', ['a'], 5), box('c', ['a'], 9), box('d', ['a', 'b', 'c'], 1)]

  it('leaves out a line that a longer way says already', () => {
    expect(withoutShortcuts(diamond)).toEqual([
      ['a', 'b'],
      ['a', 'c'],
      ['b', 'd'],
      ['c', 'd'],
    ])
  })

  it('marks the chain that took longest', () => {
    expect([...criticalPath(diamond)].sort()).toEqual(['c', 'd'])
  })

  it('puts every box to the right of those before it', () => {
    const { boxes } = layOut(diamond)
    const x = new Map(boxes.map((placed) => [placed.id, placed.x]))
    for (const { id, after } of diamond) for (const from of after) expect(x.get(id)).toBeGreaterThan(x.get(from)!)
  })

  it('lays 500 steps out within three seconds of a processor', () => {
    const wide = Array.from({ length: 500 }, (_, i) => box(`s${i}`, i < 25 ? [] : [`s${i - 25}`]))
    const before = process.cpuUsage()
    expect(layOut(wide).boxes).toHaveLength(500)
    // Not by the clock: other tests share the machine.
    const { user, system } = process.cpuUsage(before)
    expect((user + system) / 1_000).toBeLessThan(3_000)
  })
})
