import { describe, expect, it } from 'vitest'
import type { TreeManifest } from '../../artifacts/artifact.ts'
import { digestOf } from '../../kernel/digest.ts'
import { contentDigest } from './content-digest.ts'

const mlmodel = (changed: Record<string, string> = {}): string =>
  Object.entries({
    artifact_path: 'mlflow-artifacts:/0/models/m-1/artifacts',
    flavors: '{sklearn: {pickled_model: model.pkl, sklearn_version: 1.5.0}}',
    mlflow_version: '3.4.0',
    model_id: 'm-1',
    model_size_bytes: '100',
    model_uuid: 'u-1',
    run_id: 'r-1',
    utc_time_created: "'2026-01-01 00:00:00.000000'",
    ...changed,
  })
    .map(([key, value]) => `${key}: ${value}`)
    .join('\n')

const tree = (model: string, mlmodelText: string): TreeManifest => ({
  files: [
    { path: 'MLmodel', digest: digestOf(mlmodelText), size: mlmodelText.length },
    { path: 'model.pkl', digest: digestOf(model), size: model.length },
  ],
})

const digest = (model: string, text: string) => contentDigest(tree(model, text), text)

describe('the content digest of a model', () => {
  it.each(['run_id', 'model_uuid', 'model_id', 'utc_time_created', 'artifact_path', 'model_size_bytes'])(
    'stays the same when only %s differs',
    (field) => {
      expect(digest('weights', mlmodel({ [field]: '17' }))).toBe(digest('weights', mlmodel()))
    },
  )

  it.each(['flavors', 'mlflow_version', 'signature'])('differs when %s differs', (field) => {
    expect(digest('weights', mlmodel({ [field]: '17' }))).not.toBe(digest('weights', mlmodel()))
  })

  it('does not count the folder in which the code lay that a model was logged from', () => {
    const from = (path: string) => mlmodel({ flavors: `{python_function: {model_code_path: ${path}}}` })
    expect(digest('weights', from('/work/1/workspace/sorter.py'))).toBe(digest('weights', from('/work/2/sorter.py')))
    expect(digest('weights', from('/work/1/sorter.py'))).not.toBe(digest('weights', from('/work/1/other.py')))
  })

  it('differs when a file of the model differs', () => {
    expect(digest('weights', mlmodel())).not.toBe(digest('other weights', mlmodel()))
  })

  it('does not depend on the order or the layout of the fields', () => {
    const reversed = mlmodel().split('\n').reverse().join('\n\n')
    expect(digest('weights', reversed)).toBe(digest('weights', mlmodel()))
  })

  it('takes an MLmodel that is no mapping by its bytes', () => {
    expect(digest('weights', '- a')).not.toBe(digest('weights', '- b'))
  })

  it('does not expand a YAML bomb', () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]`
    expect(digest('weights', bomb)).toMatch(/^sha256:/)
  })
})
