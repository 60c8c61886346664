import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { convertModel } from './convert-model.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mw-convert-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const isApart =
  process.platform === 'linux' &&
  spawnSync('unshare', ['--user', '--map-root-user', '--pid', '--fork', '--mount-proc', 'true']).status === 0

// The real converter, which meets a package that tells what a model's code would see.
it.skipIf(!isApart)('runs the code of a model where it sees no process but its own', async () => {
  const packages = join(folder, 'packages')
  mkdirSync(packages)
  writeFileSync(join(packages, 'numpy.py'), 'float32 = float')
  const tells = `import os\nraise ImportError("processes %s" % sorted(filter(str.isdigit, os.listdir("/proc"))))`
  writeFileSync(join(packages, 'mlflow.py'), tells)
  const request = { model: folder, output: join(folder, 'out'), tolerance: 1e-5 }
  const parts = { pythonPath: 'python3', env: { PYTHONPATH: packages, PATH: process.env.PATH! }, scratch: folder }
  await expect(convertModel(request, { ...parts, signal: new AbortController().signal })).rejects.toThrow(
    "The converter lacks a package: processes ['1', '2'].",
  )
})
