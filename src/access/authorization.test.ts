import { describe, expect, it } from 'vitest'
import { readAuthorization } from './authorization.ts'

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

describe('an Authorization header', () => {
  it.each([
    ['Bearer abc', { secret: 'abc' }],
    ['bearer  abc ', { secret: 'abc' }],
    [basic('ben:secret'), { user: 'ben', secret: 'secret' }],
    [basic('ben:se:cret'), { user: 'ben', secret: 'se:cret' }],
    [basic('ben:'), { user: 'ben', secret: '' }],
    [basic(':secret'), { user: '', secret: 'secret' }],
    [basic('jörg:pässwort'), { user: 'jörg', secret: 'pässwort' }],
    [basic('token'), { secret: 'token' }],
    ['Basic !!!!', undefined],
    ['Basic', undefined],
    ['Basic a b', undefined],
    [basic('ben:a\0b'), undefined],
    [basic('be\nn:a'), undefined],
    ['Digest username="ben"', undefined],
    ['Negotiate abc', undefined],
    ['', undefined],
  ])('%j shows %j', (header, expected) => {
    expect(readAuthorization(header)).toEqual(expected)
  })
})
