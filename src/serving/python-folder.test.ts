import { existsSync } from 'node:fs'
import { expect, it } from 'vitest'
import { pythonFolder, workerScript } from './python-folder.ts'

it('finds python/ from the sources and from any depth of the bundle', () => {
  expect(existsSync(workerScript())).toBe(true)
  expect(pythonFolder('file:///opt/mw/src/serving/python-folder.ts')).toBe('/opt/mw/python/')
  expect(pythonFolder('file:///opt/mw/dist/main.js')).toBe('/opt/mw/python/')
  expect(pythonFolder('file:///opt/dist/mw%20a/dist/chunks/gateway-1.js')).toBe('/opt/dist/mw a/python/')
})
