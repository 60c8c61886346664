import { expect, it } from 'vitest'
import { dataPlace, datasetAt } from './data-place.ts'

it.each([
  ['https://example.org/a/b.csv', 'b.csv'],
  ['https://example.org/a/b.csv?version=3#rows', 'b.csv'],
  ['https://example.org/', 'data'],
  ['https://example.org/..%2F..%2Fetc%2Fpasswd', '_.._etc_passwd'],
  ['https://example.org/%2e%2ehidden', 'hidden'],
  ['https://example.org/my%20rows.parquet', 'my_rows.parquet'],
  ['https://example.org/50%.csv', '50_.csv'],
  ['file:///srv/data/b.tsv', 'b.tsv'],
])('lays %s out as %s, inside of its own folder', (address, file) => {
  const place = dataPlace('rows', address)
  expect(place).toBe(`.modelwright/data/rows/${file}`)
  expect(datasetAt(place)).toBe('rows')
})

it('takes no file of the repository for data of an address', () => {
  expect(datasetAt('data/rows.csv')).toBeUndefined()
  expect(datasetAt('.modelwright/models/m')).toBeUndefined()
})
