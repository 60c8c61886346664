import { describe, expect, it } from 'vitest'
import { processorMs } from '../../../test/support/processor-time.ts'
import { type Candidate, chooseSteps, type Load } from './choose-steps.ts'

const machine = { cpu: 4, memoryBytes: 8_000, gpu: 1 }
const step = (node: string, more: Partial<Candidate> = {}): Candidate => ({
  execution: 'e1',
  node,
  needs: { cpu: 1, gpu: 0 },
  readySince: 0,
  ...more,
})
const chosen = (waiting: Candidate[], running: Load[] = [], now = 0) =>
  chooseSteps(waiting, running, machine, now).map(({ node }) => node)

describe('of the steps that wait', () => {
  it('as many start as the processors carry, in their order', () =>
    expect(chosen(['a', 'b', 'c', 'd', 'e'].map((name) => step(name)))).toEqual(['a', 'b', 'c', 'd']))

  it.each<[string, Candidate['needs'], string[]]>([
    ['processors', { cpu: 2, gpu: 0 }, ['a', 'b']],
    ['half processors', { cpu: 0.5, gpu: 0 }, ['a', 'b', 'c', 'd', 'e']],
    ['memory', { cpu: 1, memoryBytes: 3_000, gpu: 0 }, ['a', 'b']],
    ['the one GPU', { cpu: 1, gpu: 1 }, ['a']],
  ])('those start that find room for their %s', (_, needs, names) =>
    expect(chosen(['a', 'b', 'c', 'd', 'e'].map((name) => step(name, { needs })))).toEqual(names),
  )

  it('none starts where nothing is free', () =>
    expect(chosen([step('b')], [step('a', { needs: { cpu: 4, gpu: 0 } })])).toEqual([]))

  it.each([
    { cpu: 64, gpu: 0 },
    { cpu: 1, memoryBytes: 1e12, gpu: 0 },
  ])('one that asks for more than the machine has runs alone: %j', (needs) => {
    expect(chosen([step('big', { needs }), step('a')])).toEqual(['big'])
    expect(chosen([step('big', { needs })], [step('a')])).toEqual([])
  })

  it('one of a mutex starts, and none while another execution holds it', () => {
    const [a, b] = [step('a', { mutex: 'db' }), step('b', { mutex: 'db' })]
    expect(chosen([a, b, step('c')])).toEqual(['a', 'c'])
    expect(chosen([a, step('c')], [step('x', { execution: 'e2', mutex: 'db' })])).toEqual(['c'])
  })

  it('one of a key starts: the other will find its result', () =>
    expect(chosen([step('a', { key: 'k' }), step('b', { key: 'k', execution: 'e2' })])).toEqual(['a']))

  it('those of the execution with the least under way come first, so that thousands do not make three wait', () => {
    const many = Array.from({ length: 1_000 }, (_, i) => step(`m${i}`))
    const few = ['f1', 'f2', 'f3'].map((name) => step(name, { execution: 'e2' }))
    expect(chosen([...many, ...few])).toEqual(['m0', 'f1', 'm1', 'f2'])
    expect(chosen([...many, ...few], [step('r1'), step('r2')])).toEqual(['f1', 'f2'])
  })

  it('small ones go ahead of a big one only for so long', () => {
    const [big, small] = [step('big', { needs: { cpu: 4, gpu: 0 } }), step('small', { readySince: 29_000 })]
    expect(chosen([big, small], [step('r')], 29_000)).toEqual(['small'])
    expect(chosen([big, small], [step('r')], 31_000)).toEqual([])
    expect(chosen([big, small], [], 31_000)).toEqual(['big'])
  })

  it('a hundred thousand are looked through in a second or so of a processor', async () => {
    const many = Array.from({ length: 100_000 }, (_, i) => step(`m${i}`, { mutex: 'one' }))
    // Each compared with each would take a minute.
    expect(await processorMs(() => expect(chosen(many)).toEqual(['m0']))).toBeLessThan(4_000)
  })
})
