import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Bench } from './support/bench.ts'

/** `npm run bench -- NAME [--runs N]`: prints a table for people, and the same as one line of JSON. */
const here = dirname(fileURLToPath(import.meta.url))
const [name, ...words] = process.argv.slice(2)
const path = join(here, `${name}.ts`)
if (!name || !existsSync(path)) {
  const names = readdirSync(here).filter((file) => file.endsWith('.ts') && file !== 'run.ts')
  console.error(
    `Usage: npm run bench -- NAME [--runs N]; there are: ${names.map((file) => file.replace('.ts', '')).join(', ')}`,
  )
  process.exit(2)
}
const runs = Number(words[words.indexOf('--runs') + 1]) || 5
const { bench } = (await import(path)) as { bench: Bench }
const rows = await bench({ runs, say: (line) => console.error(line) })
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: here, encoding: 'utf8' }).trim()
const width = Math.max(...rows.map((row) => row.what.length))
console.log(`\n${name} at ${commit}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, medians of ${runs} runs`)
for (const { what, value, unit, aim, note } of rows)
  console.log(
    `  ${what.padEnd(width)}  ${value.toFixed(value < 10 ? 2 : 1).padStart(9)} ${unit.padEnd(3)}${aim ? `  aim ${aim}` : ''}${note ? `  (${note})` : ''}`,
  )
console.log(JSON.stringify({ bench: name, commit, runs, rows }))
process.exit(0)
