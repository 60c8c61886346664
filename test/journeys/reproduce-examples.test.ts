import { execFileSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { listVersions } from '../../src/lineage/lineage-contract.ts'
import { testPython } from '../support/python.ts'
import { Family } from './support/family.ts'
import { Project } from './support/project.ts'

const python = testPython()
const examples = fileURLToPath(new URL('../../examples/', import.meta.url))

describe.skipIf(!python)('the examples', { timeout: 900_000 }, () => {
  let family: Family
  beforeAll(async () => {
    family = await Family.start(['--slots', '2'])
  }, 120_000)
  afterAll(() => family?.stop())

  it.each(readdirSync(examples))('%s is made again bit for bit', async (example) => {
    const folder = join(examples, example)
    const { project: name } = parse(readFileSync(join(folder, 'modelwright.yaml'), 'utf8')) as { project: string }
    const project = await Project.connect(family, name, {})
    cpSync(folder, project.folder, { recursive: true })
    execFileSync(python!, ['make_data.py'], { cwd: project.folder, env: { PATH: process.env.PATH } })
    const { commit } = await project.push('first')
    const { id } = await project.started(commit)
    // An environment of its own may take minutes on a busy machine.
    const state = await project.eventually(
      'it is carried out',
      async () => {
        const seen = await project.execution(id)
        return ['succeeded', 'failed', 'cancelled'].includes(seen.state) && seen.state
      },
      600_000,
    )
    expect(state, await project.explain()).toBe('succeeded')
    await project.verdict(id)
    const versions = await project.eventually('there is a version', async () => {
      const { items } = await family.client(listVersions, { params: { project: name }, query: {} })
      return items.length > 0 && items
    })
    for (const { model, version } of versions) {
      const { code, out, err } = await family.cli(project.folder, 'reproduce', `${model}@${version}`, '--json')
      expect(JSON.parse(out), `${out}${err}`).toMatchObject({ state: 'judged', comparison: { outcome: 'identical' } })
      expect(code).toBe(0)
    }
  })
})
