import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { listVersions } from '../../src/lineage/lineage-contract.ts'
import { testPython } from '../support/python.ts'
import { Family } from './support/family.ts'
import { type Execution, nodeOf, Project, statesOf } from './support/project.ts'

const python = testPython()
const examples = fileURLToPath(new URL('../../examples/', import.meta.url))

// The examples as their README says, each carried out once: what comes of the push, and that its models are made again.
describe.skipIf(!python)('the examples', { timeout: 1_200_000 }, () => {
  let family: Family
  const carriedOut = new Map<string, { project: Project; first: Execution }>()
  beforeAll(async () => {
    family = await Family.start(['--slots', '2'])
  })
  afterAll(() => family?.stop())

  /** What the push of it made: carried out by the first who asks. */
  async function pushed(example: string): Promise<{ project: Project; first: Execution }> {
    const known = carriedOut.get(example)
    if (known) return known
    const folder = join(examples, example)
    const { project: name } = parse(readFileSync(join(folder, 'modelwright.yaml'), 'utf8')) as { project: string }
    const project = await Project.connect(family, name, {})
    cpSync(folder, project.folder, { recursive: true })
    execFileSync(python!, ['make_data.py'], { cwd: project.folder, env: { PATH: process.env.PATH } })
    const { commit } = await project.push('first')
    const { id } = await project.started(commit)
    // An environment of its own may take minutes on a busy machine.
    const first = await project.eventually(
      'it is carried out',
      async () => {
        const seen = await project.execution(id)
        return ['succeeded', 'failed', 'cancelled'].includes(seen.state) && seen
      },
      600_000,
    )
    expect(first.state, await project.explain()).toBe('succeeded')
    carriedOut.set(example, { project, first })
    return { project, first }
  }

  it.each(readdirSync(examples))('%s is made again bit for bit', async (example) => {
    const { project, first } = await pushed(example)
    await project.verdict(first.id)
    const versions = await project.eventually('there is a version', async () => {
      const { items } = await family.client(listVersions, { params: { project: project.name }, query: {} })
      return items.length > 0 && items
    })
    for (const { model, version } of versions) {
      const { code, out, err } = await family.cli(project.folder, 'reproduce', `${model}@${version}`, '--json')
      expect(JSON.parse(out), `${out}${err}`).toMatchObject({ state: 'judged', comparison: { outcome: 'identical' } })
      expect(code).toBe(0)
    }
  })

  const ranAnew = (execution: Execution): string[] =>
    execution.nodes.flatMap(({ id, state }) => (state === 'succeeded' ? [id] : [])).sort()

  it('with two models side by side trains, compares and judges both, and runs again what its helper module says', async () => {
    const { project, first } = await pushed('diabetes-progression')
    expect(Object.keys(statesOf(first)).filter((id) => id !== 'environment')).toEqual([
      'prepare',
      'train@boosting',
      'train@linear',
      'evaluate@boosting',
      'evaluate@linear',
      'compare',
    ])
    for (const kind of ['boosting', 'linear'])
      expect(nodeOf(first, `evaluate@${kind}`).metrics!.r2).toBeGreaterThan(0.3)
    expect(await project.log(first.id, 'compare')).toMatch(/rmse .*\n.*(boosting|linear) .*\n.*(linear|boosting) /s)

    const patient = (await readFile(join(project.folder, 'data/patients.csv'), 'utf8')).split('\n').slice(0, 2)
    const [columns, values] = patient.map((line) => line.trim().split(','))
    const row = Object.fromEntries(
      columns!.map((column, i) => [column, column === 'sex' || i === 0 ? values![i] : Number(values![i])]),
    )
    const { progression: _, ...asked } = row
    await project.eventually('production answers', async () => {
      const { status, body } = await project.predict([asked])
      return status === 200 && Number(body.predictions?.[0]) > 25 && Number(body.predictions?.[0]) < 350
    })

    // The promotion is a commit of Modelwright's own.
    await project.pull()
    // No deps: names columns.py; prepare.py, train.py and evaluate.py import it, compare.py does not.
    const columnsText = await readFile(join(project.folder, 'src/columns.py'), 'utf8')
    const second = await project.succeeded(
      (await project.push('Say more', { 'src/columns.py': `${columnsText}\n# more\n` })).commit,
    )
    expect(ranAnew(second)).toEqual(
      expect.arrayContaining(['evaluate@boosting', 'evaluate@linear', 'prepare', 'train@boosting', 'train@linear']),
    )
    expect(statesOf(second).compare).toBe('reused')
  })

  it('with images trains a network that recognises held-out digits, and answers for an image', async () => {
    const { project, first } = await pushed('digits')
    expect(nodeOf(first, 'evaluate').metrics!.accuracy).toBeGreaterThan(0.95)
    const images = spawnSync(
      python!,
      ['-c', "import json, numpy as np; print(json.dumps(np.load('data/digits.npz')['images'][:2].tolist()))"],
      { cwd: project.folder, encoding: 'utf8' },
    )
    const inputs = JSON.parse(images.stdout) as number[][][]
    await project.eventually('production answers', async () => {
      const answer = await fetch(`${family.gatewayUrl}/endpoints/digits/production/invocations`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ inputs }),
      })
      const text = await answer.text()
      // The first two images of the set are a nought and a one.
      if (answer.status !== 200 || !/"predictions": ?\[0, ?1\]/.test(text)) throw new Error(`${answer.status} ${text}`)
      return true
    })
  })
})
