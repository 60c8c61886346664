import { expect, it } from 'vitest'
import { digestOf } from '../../kernel/digest.ts'
import { contentFrom } from './describe-content.ts'

it('says of a digest that is not recorded which file of the commit it is, or that it is unknown', () => {
  expect(contentFrom(digestOf('x'), undefined)).toMatchObject({ origin: 'unknown' })
  expect(contentFrom(digestOf('x'), undefined, 'b.csv')).toMatchObject({ origin: 'git', text: 'b.csv in Git' })
})

it('says of what was fetched where it lay', () => {
  const origin = { kind: 'address', address: 'https://example.org/b.csv' } as const
  const version = { project: 'p', dataset: 'rows', digest: digestOf('x'), rows: undefined, origin, createdAt: 1 }
  expect(contentFrom(digestOf('x'), version)).toMatchObject({
    origin: 'address',
    text: 'what lay at https://example.org/b.csv',
  })
})
