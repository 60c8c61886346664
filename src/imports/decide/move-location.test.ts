import { expect, it } from 'vitest'
import { idsIn, moveLocation } from './move-location.ts'

const folders = [
  { from: 'file:///old/mlruns/1/run1/artifacts', to: 'mlflow-artifacts:/7/run1/artifacts' },
  { from: 's3://bucket/2/run2/artifacts/', to: 'mlflow-artifacts:/8/run2/artifacts' },
]

it.each([
  ['file:///old/mlruns/1/run1/artifacts/model', 'mlflow-artifacts:/7/run1/artifacts/model'],
  ['/old/mlruns/1/run1/artifacts/model', 'mlflow-artifacts:/7/run1/artifacts/model'],
  ['file:/old/mlruns/1/run1/artifacts', 'mlflow-artifacts:/7/run1/artifacts'],
  ['s3://bucket/2/run2/artifacts/a/b', 'mlflow-artifacts:/8/run2/artifacts/a/b'],
  ['s3://bucket/2/run2/artifacts-of-another/a', 's3://bucket/2/run2/artifacts-of-another/a'],
  ['runs:/run1/model', 'runs:/run1/model'],
  ['', ''],
])('%s lies at %s', (location, now) => {
  expect(moveLocation(location, folders)).toBe(now)
})

it('ids of runs and models are found wherever they stand in a location', () => {
  const run = '996b83d80c6a4003b3de8688c5192c1e'
  expect(idsIn(`file:///a/1/${run}/artifacts/x`)).toContain(run)
  expect(idsIn('models:/m-64710ace25c644f59cfe56245da23e20')).toContain('m-64710ace25c644f59cfe56245da23e20')
})
