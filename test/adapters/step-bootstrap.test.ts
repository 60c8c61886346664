import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const python = process.env.MODELWRIGHT_TEST_PYTHON ?? ''
const required = (process.env.REQUIRE ?? '').split(',').includes('python')
const present = python !== '' && existsSync(python)
if (!present && !required)
  console.warn('step bootstrap: skipped, MODELWRIGHT_TEST_PYTHON names no Python with mlflow and scikit-learn')

it.skipIf(!present && !required)("makes MLflow's habits land in the step's run, under the real mlflow client", () => {
  expect(present, `REQUIRE asks for python, but MODELWRIGHT_TEST_PYTHON is "${python}"`).toBe(true)
  const tests = fileURLToPath(new URL('../../python/bootstrap/test_bootstrap.py', import.meta.url))
  const { status, stderr } = spawnSync(python, [tests], { encoding: 'utf8', env: { PATH: process.env.PATH } })
  expect(status, stderr).toBe(0)
  expect(stderr).toMatch(/Ran [1-9]\d tests/)
})
