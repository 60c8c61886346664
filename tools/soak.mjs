// `npm run soak -- NAME --option N …`: a program of test/soak, with the Python of the tests; it ends with another status than 0 where it failed.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { testPython } from './test-python.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const names = ['serving', 'swap']
const [name = '', ...args] = process.argv.slice(2)
const program = join(root, 'test', 'soak', `${name}.ts`)
if (!names.includes(name) || !existsSync(program)) {
  console.error(`There is no soak "${name}"; there are: ${names.join(', ')}.`)
  process.exit(2)
}
const python = testPython(root)
if (python.reason) {
  console.error(`It needs Python with mlflow: ${python.reason}`)
  process.exit(1)
}
const words = ['--disable-warning=ExperimentalWarning', program, ...args]
const env = { ...process.env, MODELWRIGHT_TEST_PYTHON: python.path }
process.exitCode = spawnSync(process.execPath, words, { stdio: 'inherit', env }).status ?? 1
