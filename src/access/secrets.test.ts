import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SecretBox, secretsKeyAt } from './secrets.ts'

describe('a secret box', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mw-secrets-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const path = () => join(folder, 'keys', 'secrets.key')
  const box = () => new SecretBox(secretsKeyAt(path(), undefined))

  it('opens what it sealed, also after a restart, with a key that only its user can read', () => {
    const sealed = box().seal('hush – ✓', 'webhook 1')
    expect(sealed).not.toContain('hush')
    expect(box().open(sealed, 'webhook 1')).toBe('hush – ✓')
    expect(statSync(path()).mode & 0o777).toBe(0o600)
  })

  it('never seals the same secret into the same text', () => {
    expect(box().seal('s', 'p')).not.toBe(box().seal('s', 'p'))
  })

  it('does not open for another purpose, with another key, or what was changed', () => {
    const sealed = box().seal('s', 'webhook 1')
    const refused = expect.objectContaining({ code: 'SecretUnreadable' })
    expect(() => box().open(sealed, 'webhook 2')).toThrow(refused)
    expect(() => new SecretBox(Buffer.alloc(32)).open(sealed, 'webhook 1')).toThrow(refused)
    expect(() => box().open(`${sealed.slice(0, -8)}AAAAAAA=`, 'webhook 1')).toThrow(refused)
    expect(() => box().open('v1.', 'webhook 1')).toThrow(refused)
  })

  it('takes the key of the environment before that of the file', () => {
    const given = Buffer.alloc(32, 7).toString('base64')
    const sealed = new SecretBox(secretsKeyAt(path(), given)).seal('s', 'p')
    expect(new SecretBox(Buffer.alloc(32, 7)).open(sealed, 'p')).toBe('s')
    expect(() => readFileSync(path())).toThrow('ENOENT')
  })

  it('refuses a key file that holds no key instead of making another', () => {
    secretsKeyAt(path(), undefined)
    writeFileSync(path(), 'short')
    expect(() => box()).toThrow('3 bytes where 32 are needed')
  })
})
