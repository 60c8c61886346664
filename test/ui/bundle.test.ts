import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'

const dist = fileURLToPath(new URL('../../ui/dist/', import.meta.url))
const read = (path: string) => readFileSync(`${dist}${path}`)

it('the shell is at most 200 kB of compressed script, everything it loads at once counted', () => {
  if (!existsSync(dist)) throw new Error('The pages are not built: npm run build.')
  const first = [
    ...read('index.html')
      .toString()
      .matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g),
  ].map(([, path]) => path!)
  expect(first.length).toBeGreaterThan(0)
  const seen = new Set(first)
  // Static imports of a script are loaded with it; dynamic ones, `import(…)`, when they are needed.
  for (const path of seen)
    for (const [, name] of read(path)
      .toString()
      .matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g))
      seen.add(`assets/${name}`)
  const total = [...seen].reduce((sum, path) => sum + gzipSync(read(path)).length, 0)
  expect(total).toBeLessThan(200_000)
})

it('nothing of the pages is loaded from another host', () => {
  const foreign = [
    'index.html',
    ...readdirSync(`${dist}assets`)
      .filter((name) => name.endsWith('.css'))
      .map((name) => `assets/${name}`),
  ].filter((path) => /(?:src|href)="https?:|url\(["']?(?:https?:)?\/\//.test(read(path).toString()))
  expect(foreign).toEqual([])
})
