import { open } from 'node:fs/promises'

const logTailBytes = 2_000

/** The last lines that say something, for the error's message. */
export async function lastLines(path: string): Promise<string> {
  const file = await open(path).catch(() => undefined)
  if (!file) return ''
  try {
    const { size } = await file.stat()
    const length = Math.min(size, logTailBytes)
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length)
    return buffer
      .toString('utf8')
      .split('\n')
      .filter((line) => line.trim())
      .slice(-3)
      .join(' ⏎ ')
      .slice(-500)
  } finally {
    await file.close()
  }
}
