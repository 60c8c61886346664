import { describe, expect, it } from 'vitest'
import { AppError } from '../kernel/errors.ts'
import { parseSlo } from './parse-slo.ts'

function refusal(text: string): AppError {
  try {
    parseSlo(text, 'slo.yaml')
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('it was accepted')
}

describe('parseSlo', () => {
  it("fills in Keptn's defaults", () => {
    expect(parseSlo('objectives:\n- sli: a\n', 'slo.yaml')).toEqual({
      comparison: { results: 1, include: 'all', aggregate: 'avg' },
      objectives: [{ sli: 'a', displayName: '', pass: undefined, warning: undefined, weight: 1, key: false }],
      totalScore: undefined,
    })
  })

  it('takes numbers where Keptn wants text as they were written, and skips empty objectives', () => {
    const slo = parseSlo(
      'objectives:\n-\n- sli: 5\n  pass: [{ criteria: [0.10, <=5] }]\n  key_sli: yes\ntotal_score: { pass: 90.0 }\n',
      'slo.yaml',
    )
    expect(slo.objectives).toHaveLength(1)
    expect(slo.objectives[0]).toMatchObject({ sli: '5', pass: [['0.10', '<=5']], key: true })
    expect(slo.totalScore).toEqual({ pass: '90.0', warning: '' })
  })

  it('follows aliases and merge keys', () => {
    const slo = parseSlo('x: &x { weight: 3 }\nobjectives:\n- { <<: *x, sli: a }\n', 'slo.yaml')
    expect(slo.objectives[0]).toMatchObject({ sli: 'a', weight: 3 })
  })

  it.each([
    ['', 'the file holds empty'],
    ['- a', 'the file holds a list'],
    ['objectives: 5', 'objectives is "5"; allowed is a list'],
    ['objectives: [a]', 'objectives[0] is "a"; allowed is keys and values'],
    ['objectives: [{ sli: a, weight: heavy }]', 'objectives[0].weight is "heavy"; allowed is a whole number'],
    ['objectives: [{ sli: a, weight: 1.5 }]', 'objectives[0].weight is "1.5"'],
    ['objectives: [{ sli: a, weight: -1 }]', 'objectives[0].weight is -1'],
    ['objectives: [{ sli: a, key_sli: perhaps }]', 'objectives[0].key_sli is "perhaps"; allowed is true or false'],
    ['objectives: [{ sli: a, pass: ["<5"] }]', 'objectives[0].pass[0] is "<5"'],
    ['objectives: [{ sli: a, pass: [null] }]', 'objectives[0].pass[0] is empty'],
    [
      'objectives: [{ sli: a, pass: [{ criteria: "<5" }] }]',
      'objectives[0].pass[0].criteria is "<5"; allowed is a list',
    ],
    ['comparison: { number_of_comparison_results: -2 }', 'number_of_comparison_results is -2'],
    ['total_score: 90%', 'total_score is "90%"; allowed is keys and values'],
  ])('refuses %j', (text, message) => {
    const error = refusal(text)
    expect(error.code).toBe('SloInvalid')
    expect(error.message).toContain(message)
  })

  it('says where YAML breaks', () => {
    expect(refusal('objectives:\n- sli: a\n  pass: [\n').place).toMatchObject({
      file: 'slo.yaml',
      line: expect.any(Number),
      column: expect.any(Number),
    })
  })

  it('refuses a bomb of aliases and an endless nesting instead of carrying them out', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefgh'.split('').map((letter, i) => `${letter}: &${letter} [${Array(9).fill(`*${'abcdefgh'[i]}`).join()}]`),
    ]
    expect(refusal(bomb.join('\n')).code).toBe('SloInvalid')
    for (const deep of ['['.repeat(20000) + ']'.repeat(20000), '- '.repeat(20000), `${' '.repeat(5000)}a: 1`]) {
      expect(refusal(deep).message).toContain('at most 200 is read')
    }
  })
})
