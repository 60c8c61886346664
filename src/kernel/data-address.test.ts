import { expect, it } from 'vitest'
import { addressProblem } from './data-address.ts'

it.each([
  'https://example.org/b.csv',
  'https://data.internal:8443/b.csv?version=3',
  'http://127.0.0.1:8000/b.csv',
  'http://localhost/b.csv',
  'http://[::1]/b.csv',
  'file:///srv/data/b.csv',
])('takes %s', (address) => {
  expect(addressProblem(address)).toBeUndefined()
})

it.each([
  ['http://example.org/b.csv', 'say https'],
  ['http://127.0.0.1.example.org/b.csv', 'say https'],
  ['http://localhost.example.org/b.csv', 'say https'],
  ['https://ada:pw@example.org/b.csv', 'stand in Git'],
  ['https://ada@example.org/b.csv', 'stand in Git'],
  ['file://server/share/b.csv', 'the host "server"'],
  ['file:///srv/data/', 'is a folder'],
  ['ftp://example.org/b.csv', 'begins with ftp://'],
  ['https://', 'cannot be read as one'],
])('refuses %s', (address, why) => {
  expect(addressProblem(address)).toContain(why)
})
