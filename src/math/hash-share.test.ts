import { expect, test } from 'vitest'
import { hashShare } from './hash-share.ts'

// From Python: int(hashlib.sha256((salt + key).encode()).hexdigest()[:8], 16) / 2**32
test.each([
  ['sample-1', '', 0.03359684464521706],
  ['42', 'seed', 0.3885981859639287],
  ['Müller', '', 0.654360385844484],
])('the key %s with salt "%s" lands where Python puts it', (key, salt, share) => {
  expect(hashShare(key, salt)).toBe(share)
})

test('a fifth of many keys lies below 0.2', () => {
  const below = Array.from({ length: 10_000 }, (_, i) => hashShare(`row-${i}`)).filter((share) => share < 0.2).length
  expect(Math.abs(below - 2000)).toBeLessThan(5 * 40)
})
