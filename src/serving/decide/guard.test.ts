import { expect, it } from 'vitest'
import { digestOf } from '../../kernel/digest.ts'
import { judgeGuard } from './guard.ts'

const guard = { newcomer: digestOf('n'), minRequests: 20, maxErrorRate: 0.05, maxInputFailureRate: 0.1 }
it.each([
  ['too few requests say nothing, however bad', { requests: 19, errors: 19, inputFailures: 0 }, 'too few'],
  ['no request at all says nothing', { requests: 0, errors: 0, inputFailures: 0 }, 'too few'],
  ['a share equal to the bound is within', { requests: 20, errors: 1, inputFailures: 2 }, 'within'],
  ['more errors than allowed', { requests: 20, errors: 2, inputFailures: 0 }, 'broken'],
  ['more refused inputs than allowed', { requests: 20, errors: 0, inputFailures: 3 }, 'broken'],
])('%s', (_, counts, outcome) => {
  expect(judgeGuard(guard, counts).outcome).toBe(outcome)
})
it('holds no bound that was not declared', () => {
  expect(
    judgeGuard({ newcomer: guard.newcomer, minRequests: 1 }, { requests: 9, errors: 9, inputFailures: 0 }).outcome,
  ).toBe('within')
})
