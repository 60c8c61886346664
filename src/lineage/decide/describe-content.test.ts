import { expect, it } from 'vitest'
import { digestOf } from '../../kernel/digest.ts'
import { contentFrom, packagesIn } from './describe-content.ts'

it('reads packages of a compiled requirements file, hashes, extras and markers aside', () => {
  const text = `# by uv
numpy==2.1.0 \\
    --hash=sha256:aaaa \\
    --hash=sha256:bbbb
    # via scikit-learn
Scikit_Learn[alldeps]==1.5.2 ; python_version >= "3.11"
mypkg @ https://example.org/mypkg-1.0.tar.gz
`
  expect([...packagesIn(text)]).toEqual([
    ['numpy', '2.1.0'],
    ['scikit-learn', '1.5.2'],
    ['mypkg', 'https://example.org/mypkg-1.0.tar.gz'],
  ])
})

it('says of a digest that is not recorded which file of the commit it is, or that it is unknown', () => {
  expect(contentFrom(digestOf('x'), undefined)).toMatchObject({ origin: 'unknown' })
  expect(contentFrom(digestOf('x'), undefined, 'b.csv')).toMatchObject({ origin: 'git', text: 'b.csv in Git' })
})
