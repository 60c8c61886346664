// Ends with 0 where no source is newer than the given time: then there is nothing to build.
import { readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const builtAt = Number(process.argv[2])
const sources = ['src', 'ui/src', 'ui/index.html', 'ui/vite.config.ts', 'package-lock.json', 'tools/build.mjs']
const newest = (path) => {
  const facts = statSync(path, { throwIfNoEntry: false })
  if (!facts) return 0
  if (!facts.isDirectory()) return facts.mtimeMs
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))))
}
process.exitCode = sources.some((path) => newest(join(root, path)) > builtAt) ? 1 : 0
