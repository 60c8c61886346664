import { describe, expect, it } from 'vitest'
import type { LabelInput, LabelSchema } from '../evaluations.ts'
import { checkLabelSchemaChange, checkNewLabelSchema } from './label-schema-rules.ts'

describe('a question to reviewers', () => {
  it.each<[string, LabelInput]>([
    ['Is it right?', { kind: 'pass_fail', positiveLabel: 'yes', negativeLabel: 'no' }],
    ['x'.repeat(250), { kind: 'text' }],
    ['q', { kind: 'numeric', minValue: -1, maxValue: 1.5 }],
    ['q', { kind: 'categorical', options: [...'abcdefghij'], multiSelect: true }],
  ])('%s is asked', (name, input) => {
    expect(() => checkNewLabelSchema({ name, type: 'feedback', input })).not.toThrow()
  })

  it.each<[string, LabelInput, string]>([
    ['', { kind: 'text' }, 'non-empty'],
    ['x'.repeat(251), { kind: 'text' }, 'at most 250'],
    [' feedBACK ', { kind: 'text' }, 'is reserved'],
    ['q', { kind: 'text', maxLength: 0 }, 'at least 1; got 0'],
    ['q', { kind: 'numeric', minValue: 2, maxValue: 1 }, 'got min=2.0, max=1.0'],
    ['q', { kind: 'pass_fail', positiveLabel: 'a', negativeLabel: 'a' }, 'must be distinct'],
    ['q', { kind: 'pass_fail', positiveLabel: '', negativeLabel: 'a' }, '`InputPassFail.positive_label`'],
    ['q', { kind: 'pass_fail', positiveLabel: 'a', negativeLabel: 'x'.repeat(65) }, 'at most 64'],
    ['q', { kind: 'categorical', options: [], multiSelect: false }, 'non-empty list'],
    ['q', { kind: 'categorical', options: ['a', 'a'], multiSelect: false }, "'a' appears twice"],
    ['q', { kind: 'categorical', options: [...'abcdefghijk'], multiSelect: false }, 'at most 10'],
  ])('%s with %j is refused', (name, input, words) => {
    expect(() => checkNewLabelSchema({ name, type: 'feedback', input })).toThrow(words)
  })

  const known: LabelSchema = {
    schemaId: 'ls-1',
    experimentId: '0',
    name: 'q',
    type: 'feedback',
    instruction: undefined,
    enableComment: false,
    input: { kind: 'categorical', options: ['a'], multiSelect: false },
    createdAt: 1,
    updatedAt: 1,
    createdBy: undefined,
    isDefault: false,
  }

  it('keeps its kind of answer, and the default one everything', () => {
    const input = { kind: 'categorical', options: ['b', 'c'], multiSelect: false } as const
    expect(() => checkLabelSchemaChange(known, { input: { ...input, options: ['b'] } })).not.toThrow()
    expect(() => checkLabelSchemaChange(known, { input: { ...input, options: ['b'], multiSelect: true } })).toThrow(
      '`InputCategorical.multi_select` cannot be changed',
    )
    expect(() => checkLabelSchemaChange(known, { input: { kind: 'text' } })).toThrow(
      '(existing: InputCategorical, got: InputText)',
    )
    expect(() => checkLabelSchemaChange({ ...known, isDefault: true }, { instruction: 'x' })).toThrow(
      'cannot be edited',
    )
  })
})
