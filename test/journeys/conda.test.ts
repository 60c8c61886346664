import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { standInConda } from '../../src/adapters/environments/uv/testing/stand-in-conda.ts'
import { Family } from './support/family.ts'
import { nodeOf, Project } from './support/project.ts'

const folder = mkdtempSync(join(tmpdir(), 'modelwright-conda-'))
const path = process.env.PATH
let family: Family
beforeAll(async () => {
  process.env.PATH = `${standInConda(folder).bin}:${path}`
  family = await Family.start(['--slots', '2']).finally(() => {
    process.env.PATH = path
  })
})
afterAll(async () => {
  await family?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const environment = (numpy: string) => `dependencies:\n  - python=3.11.9\n  - numpy=${numpy}\n`

it('runs steps in the environment that a conda file is locked to, and again where the lock names another package', async () => {
  const project = await Project.connect(family, 'conda', {
    'environment.yml': environment('1.26.4'),
    'modelwright.yaml': `project: conda
python: { conda: environment.yml }
steps:
  look: { run: 'command -v python && python -c "print(6 * 7)"' }
`,
  })
  const first = await project.succeeded((await project.push('one')).commit)
  expect(await project.log(first.id, 'look')).toMatch(/\/envs\/[^\n]*\/bin\/python\n42\n$/)
  expect(await project.log(first.id, 'environment')).toContain('Linking file://')

  const { commit } = await project.push('another numpy', { 'environment.yml': environment('2.0.0') })
  expect(nodeOf(await project.succeeded(commit), 'look').decision?.reasons).toContain('numpy 1.26.4 → 2.0.0')

  const failed = await project.ended(
    (await project.push('none such', { 'environment.yml': environment('9.9') })).commit,
  )
  expect(nodeOf(failed, 'environment').error).toMatchObject({
    code: 'EnvironmentFailed',
    message: expect.stringContaining('nothing provides numpy=9.9'),
  })
})
