// `npm run test:real -- NAME …`: suites with heavy real parts, each in a folder of test/real with its own set-up; all of them without a name.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), 'test', 'real')
const all = readdirSync(folder).filter((name) => existsSync(join(folder, name, 'run.ts')))
const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !all.includes(name))
if (unknown.length > 0) {
  console.error(`There is no suite ${unknown.join(', ')}; there are: ${all.join(', ')}.`)
  process.exit(2)
}
for (const name of asked.length > 0 ? asked : all) {
  const { status } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(folder, name, 'run.ts')],
    { stdio: 'inherit' },
  )
  if (status !== 0) process.exitCode = 1
}
