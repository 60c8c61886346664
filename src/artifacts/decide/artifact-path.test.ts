import { describe, expect, it } from 'vitest'
import { isUnder, safeArtifactPath } from './artifact-path.ts'

describe('a safe artifact path', () => {
  it.each([
    '../../x',
    '..',
    'a/..',
    'a/../b',
    './a',
    'a/./b',
    '.',
    '/etc/passwd',
    '//a',
    'a//b',
    '%2e%2e/x',
    '%2e%2e%2fx',
    '..%2Fx',
    'a%2f..%2f..%2fx',
    '%252e%252e%252fx',
    '%25252e%25252e/x',
    'n'.repeat(256),
    '..\\x',
    'a\\..\\..\\x',
    '%5c..%5cx',
    '%255c..%255cx',
    'C:\\x',
    'C:/x',
    'file:/etc/passwd',
    'file:///etc/passwd',
    'http://a/b',
    'a#b',
    'a%23b',
    'a%2523b',
    'a\0b',
    'a%00b',
    'a%2500b',
    'a\nb',
    '%2fetc%2fpasswd',
    '%252fetc',
    `%${'25'.repeat(12)}2e`,
    '%ff%fe',
  ])('is refused for %j', (text) => {
    expect(safeArtifactPath(text)).toBeUndefined()
  })

  it.each([
    ['model.pkl', 'model.pkl'],
    ['a/b c/ü.txt', 'a/b c/ü.txt'],
    ['a/b/', 'a/b'],
    ['', ''],
    ['a%20b', 'a b'],
    ['50%.txt', '50%.txt'],
    ['..a/b..c', '..a/b..c'],
    ['a:b', 'a:b'],
    ['.hidden/...', '.hidden/...'],
  ])('reads %j as %j', (text, path) => {
    expect(safeArtifactPath(text)).toBe(path)
  })

  it('gives a path that reads as itself, so that no later decoding changes it', () => {
    for (const text of ['a%2520b', 'x/50%25.txt', '%41/%62'])
      expect(safeArtifactPath(safeArtifactPath(text)!)).toBe(safeArtifactPath(text))
  })
})

describe('being under a folder', () => {
  it.each([
    ['a/b', 'a', true],
    ['ab', 'a', false],
    ['a', 'a', false],
    ['a', '', true],
  ])('%j under %j is %s', (path, folder, expected) => {
    expect(isUnder(path, folder)).toBe(expected)
  })
})
