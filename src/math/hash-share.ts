import { createHash } from 'node:crypto'

/**
 * A key's fixed place in [0, 1): the same for the same key and salt, on every machine and in every language, evenly
 * spread over keys. It decides which rows are held out, so it never changes: user code repeats it in Python as
 *
 *     int(hashlib.sha256((salt + key).encode()).hexdigest()[:8], 16) / 2**32
 *
 * @param key any text (UTF-8); a row's key, written as the table writes it
 * @param salt keeps two uses of the same keys independent; empty for the train/test split
 * @returns a multiple of 2⁻³²
 */
export function hashShare(key: string, salt = ''): number {
  const hex = createHash('sha256')
    .update(salt + key, 'utf8')
    .digest('hex')
  return Number.parseInt(hex.slice(0, 8), 16) / 2 ** 32
}
