import { describe, expect, it } from 'vitest'
import type { MlmodelFile } from '../models/mlmodel-file.ts'
import { unconvertible } from './unconvertible.ts'

const column = { name: 'a', datatype: 'FP64' as const, shape: [-1, 1], required: true, columnType: 'double' }
const model: MlmodelFile = {
  facts: { platform: 'mlflow_python_function', signature: 'columns', inputs: [column], outputs: [], params: [] },
  flavors: ['sklearn'],
  signature: { inputs: [], outputs: [] },
  inputExample: { file: 'input_example.json', type: 'dataframe' },
}

describe('a model is converted without being asked for it', () => {
  it('where it is of a known library, says what it takes, and brings real rows', () => {
    expect(unconvertible(model, 1_000)).toBeUndefined()
    expect(unconvertible({ ...model, flavors: ['lightgbm'] }, 1_000)).toBeUndefined()
  })

  it.each([
    ['another library', { flavors: ['prophet'] }, 1_000, 'flavour is prophet', false],
    ['no signature', { facts: { ...model.facts, signature: 'none' as const } }, 1_000, 'no signature', true],
    ['params', { facts: { ...model.facts, params: [{ name: 'k', type: 'long', default: 1 }] } }, 1_000, 'params', true],
    ['a size that takes minutes', {}, 60_000_000, '60 MB', true],
  ])('but not one of %s', (_, change, bytes, words, isCandidate) => {
    expect(unconvertible({ ...model, ...change }, bytes)).toMatchObject({
      reason: expect.stringContaining(words),
      isCandidate,
    })
  })

  it('but not one without real rows to prove it on, and says how to give some', () => {
    const { inputExample: _, ...without } = model
    expect(unconvertible(without, 1_000)).toMatchObject({ next: expect.stringContaining('input_example') })
  })
})
