import { expect, it } from 'vitest'
import { mlflowCast } from './mlflow-cast.ts'

// What MLflow's scoring server was seen to answer for these values.
it.each([
  ['double', 1, 1],
  ['double', '1.5', 1.5],
  ['double', null, null],
  ['double', 'tall', undefined],
  ['double', '0x3', undefined],
  ['double', ' 0B1 ', undefined],
  ['double', '0.5', 0.5],
  ['float', true, 1],
  ['long', 1.5, 1],
  ['long', -1.5, -1],
  ['long', '7', 7],
  ['long', null, undefined],
  ['integer', 'many', undefined],
  ['boolean', 'yes', true],
  ['boolean', 0, false],
  ['boolean', null, false],
  ['boolean', [1], undefined],
  ['long', '15', 15],
  ['long', '1.5', undefined],
  ['string', 5, '5'],
  ['string', true, 'True'],
  ['string', {}, undefined],
])('casts into %s: %j becomes %j', (type, value, cast) => {
  expect(mlflowCast(type, value)).toEqual(cast)
})
