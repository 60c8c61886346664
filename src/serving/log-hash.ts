import { createHmac, randomBytes } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Hashes values of the prediction log: `hmac:` and 16 hex digits, with a key in the gateway's folder that is made once. Equal texts stay
 * equal; without the key nobody can try which text it was.
 */
export class LogHash {
  readonly #folder: string
  #key: string | undefined

  constructor(folder: string) {
    this.#folder = folder
  }

  of = (text: string): string => {
    this.#key ??= keyIn(this.#folder)
    return `hmac:${createHmac('sha256', this.#key).update(text, 'utf8').digest('hex').slice(0, 16)}`
  }
}

/** Gateways and server may all be the first to need it: the file that stands is the key, and it never stands there half written. */
function keyIn(folder: string): string {
  const path = join(folder, 'log-hash.key')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (!existsSync(path)) makeKey(path)
  return readFileSync(path, 'utf8').trim()
}

function makeKey(path: string): void {
  const beside = `${path}.${process.pid}`
  writeFileSync(beside, randomBytes(32).toString('hex'), { mode: 0o600, flush: true })
  try {
    linkSync(beside, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(beside)
  }
}
