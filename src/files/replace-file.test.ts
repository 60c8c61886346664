import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { replaceFile, replaceFileSync } from './replace-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'mw-replace-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe.each([
  ['replaceFile', replaceFile],
  ['replaceFileSync', async (...asked: Parameters<typeof replaceFileSync>) => replaceFileSync(...asked)],
])('%s', (name, replace) => {
  it('leaves one whole content and nothing beside it, however many write at once', async () => {
    const home = join(folder, name)
    mkdirSync(home)
    const path = join(home, 'file')
    const contents = Array.from({ length: 30 }, (_, n) => String(n % 10).repeat(200_000))
    await Promise.all(contents.map((content) => replace(path, content)))
    expect(contents).toContain(readFileSync(path, 'utf8'))
    expect(readdirSync(home)).toEqual(['file'])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    await replace(path, '#!/bin/sh\n', 0o700)
    expect(statSync(path).mode & 0o777).toBe(0o700)
  })

  it('leaves what is there where it fails, and nothing half written', async () => {
    const home = join(folder, `${name}-fails`)
    mkdirSync(join(home, 'taken', 'inside'), { recursive: true })
    await expect(replace(join(home, 'taken'), 'text')).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/)
    expect(readdirSync(home)).toEqual(['taken'])
  })
})
