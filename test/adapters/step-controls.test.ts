import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { testPython } from '../support/python.ts'

const python = testPython()

it.skipIf(!python)('holds hash seed, clock and entropy still, each by itself, and lets the rest be what it is', () => {
  const tests = fileURLToPath(new URL('../../python/bootstrap/test_controls.py', import.meta.url))
  const { status, stderr } = spawnSync(python!, [tests], { encoding: 'utf8', env: { PATH: process.env.PATH } })
  expect(status, stderr).toBe(0)
  expect(stderr).toMatch(/Ran 9 tests/)
})
