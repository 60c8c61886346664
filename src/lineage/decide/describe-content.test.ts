import { expect, it } from 'vitest'
import { digestOf } from '../../kernel/digest.ts'
import { contentFrom } from './describe-content.ts'

it('says of a digest that is not recorded which file of the commit it is, or that it is unknown', () => {
  expect(contentFrom(digestOf('x'), undefined)).toMatchObject({ origin: 'unknown' })
  expect(contentFrom(digestOf('x'), undefined, 'b.csv')).toMatchObject({ origin: 'git', text: 'b.csv in Git' })
})
