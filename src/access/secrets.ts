import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { AppError } from '../kernel/errors.ts'

const form = 'v1'
const nonceBytes = 12
const tagBytes = 16

/**
 * Seals what must not stand in clear in the database: AES-256-GCM with one key for the whole installation. What is sealed for
 * one purpose (a webhook's id, say) opens for no other, so that rows cannot be exchanged.
 */
export class SecretBox {
  readonly #key: Buffer

  /** `key`: 32 bytes. */
  constructor(key: Buffer) {
    this.#key = key
  }

  seal(secret: string, purpose: string): string {
    const nonce = randomBytes(nonceBytes)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(purpose))
    const sealed = Buffer.concat([nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return `${form}.${sealed.toString('base64')}`
  }

  /** Throws SecretUnreadable where it was sealed with another key or for another purpose. */
  open(sealed: string, purpose: string): string {
    try {
      const bytes = Buffer.from(sealed.slice(form.length + 1), 'base64')
      const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, nonceBytes))
      decipher.setAAD(Buffer.from(purpose)).setAuthTag(bytes.subarray(-tagBytes))
      return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]).toString('utf8')
    } catch (cause) {
      throw new AppError(
        'SecretUnreadable',
        'A stored secret cannot be opened with the key of this server.',
        'Bring back the key file (keys/secrets.key under the data folder, or MODELWRIGHT_SECRETS_KEY), or set the secret anew.',
        { cause },
      )
    }
  }
}

/**
 * The key: from the environment (`given`: 32 bytes as base64; for several servers on one database), else from the file that only
 * its user can read, made where there is none. Of several processes that make it at once one wins, and all read the winner's.
 */
export function secretsKeyAt(path: string, given: string | undefined): Buffer {
  if (given) return keyFrom(given, 'MODELWRIGHT_SECRETS_KEY')
  if (existsSync(path)) return keyFrom(readFileSync(path, 'utf8'), path)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const partial = `${path}.${process.pid}`
  writeFileSync(partial, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600, flush: true })
  try {
    linkSync(partial, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(partial, { force: true })
  }
  return keyFrom(readFileSync(path, 'utf8'), path)
}

function keyFrom(text: string, from: string): Buffer {
  const key = Buffer.from(text.trim(), 'base64')
  if (key.length === 32) return key
  throw new AppError(
    'SecretUnreadable',
    `${from} holds no key: ${key.length} bytes where 32 are needed.`,
    'A key is 32 random bytes as base64: `openssl rand -base64 32`.',
  )
}
