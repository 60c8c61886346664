// `npm run differential -- --seed N --calls N --families a,b`: with the Python environment of the tests, made where there is none.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { testPython } from './test-python.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const python = testPython(root)
if (!python.path) {
  console.error(`There is no stock server to compare with: ${python.reason}`)
  process.exit(1)
}
const { status } = spawnSync(
  process.execPath,
  ['--disable-warning=ExperimentalWarning', join(root, 'test', 'differential', 'run.ts'), ...process.argv.slice(2)],
  { stdio: 'inherit', env: { ...process.env, MODELWRIGHT_TEST_PYTHON: python.path } },
)
process.exitCode = status ?? 1
