import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { addressesConformance } from '../../../ports/conformance/addresses.ts'
import { FileAddresses } from './file-addresses.ts'

const folder = mkdtempSync(join(tmpdir(), 'modelwright-files-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const root = join(folder, 'root')
const outside = join(folder, 'root-beside')
for (const one of [root, outside]) mkdirSync(one)
writeFileSync(join(outside, 'secret.csv'), 'private\n')

/** An hour later than the machine says: what was just written is long settled. */
const clockAt = (aheadMs: number) => ({ now: () => Date.now() + aheadMs, sleep: async () => undefined })
const filesIn = (roots: readonly string[], aheadMs = 3_600_000) =>
  new FileAddresses({ roots, mostBytes: 1_000_000, clock: clockAt(aheadMs) })

let files = 0
addressesConformance('addresses/files', async () => {
  const path = join(root, `file-${files++}.csv`)
  let now = 0
  const addresses = new FileAddresses({
    roots: [root],
    mostBytes: 1_000_000,
    clock: { now: () => now, sleep: async () => undefined },
  })
  return {
    addresses,
    address: pathToFileURL(path).href,
    write: async (content, { settled }) => {
      await writeFile(`${path}.new`, content)
      await rename(`${path}.new`, path)
      now = (await stat(path)).mtimeMs + (settled ? 3_600_000 : 0)
    },
    remove: () => rm(path),
  }
})

describe('files of the server', () => {
  const refusal = (path: string, roots: readonly string[]) =>
    filesIn(roots)
      .open(pathToFileURL(path).href, {})
      .then(
        () => 'read',
        (error: Error) => error.message,
      )

  it('are read nowhere where no folder is named', async () => {
    expect(await refusal(join(outside, 'secret.csv'), [])).toContain('started without --data-roots')
  })

  it('are not read beside a folder, above it, or by links that lead out of it', async () => {
    symlinkSync(join(outside, 'secret.csv'), join(root, 'link.csv'))
    symlinkSync(outside, join(root, 'linked'))
    const ways = ['../root-beside/secret.csv', 'link.csv', 'linked/secret.csv', '..%2Froot-beside%2Fsecret.csv']
    for (const way of ways) expect(await refusal(join(root, way), [root]), way).toMatch(/--data-roots|leads to no file/)
    expect(await refusal(join(outside, 'nothing.csv'), [root])).toBe(
      (await refusal(join(outside, 'secret.csv'), [root])).replace('secret', 'nothing'),
    )
  })

  it('are read through links that stay inside, and where the folder itself is a link', async () => {
    writeFileSync(join(root, 'real.csv'), 'rows\n')
    symlinkSync('real.csv', join(root, 'inside.csv'))
    symlinkSync(root, join(folder, 'root-link'))
    const answer = await filesIn([join(folder, 'root-link')]).open(pathToFileURL(join(root, 'inside.csv')).href, {})
    expect(answer.state === 'content' && (await text(answer.content))).toBe('rows\n')
  })

  it('are files, and no folders', async () => {
    mkdirSync(join(root, 'folder'))
    expect(await refusal(join(root, 'folder'), [root])).toContain('is no file')
  })
})
