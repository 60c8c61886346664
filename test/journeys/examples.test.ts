import { spawnSync } from 'node:child_process'
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { testPython } from '../support/python.ts'
import { Family } from './support/family.ts'
import { type Execution, nodeOf, Project, statesOf } from './support/project.ts'
import { prepareEnvironment, requirements } from './support/sorter.ts'

const python = testPython()
const examples = fileURLToPath(new URL('../../examples', import.meta.url))

// The examples as their README says, but for the requirements: those of the tests are built once for all of them.
describe.skipIf(!python)('an example', { timeout: 420_000 }, () => {
  let family: Family
  beforeAll(async () => {
    family = await Family.start(['--slots', '2'])
    await prepareEnvironment(family)
  }, 600_000)
  afterAll(() => family?.stop())

  async function connected(name: string): Promise<Project> {
    const project = await Project.connect(family, name, {})
    await cp(join(examples, name), project.folder, { recursive: true })
    await project.write({ 'requirements.txt': requirements })
    const made = spawnSync(python!, ['make_data.py'], { cwd: project.folder, encoding: 'utf8' })
    expect(made.status, made.stderr).toBe(0)
    return project
  }

  const ranAnew = (execution: Execution): string[] =>
    execution.nodes.flatMap(({ id, state }) => (state === 'succeeded' ? [id] : [])).sort()

  it('with two models side by side trains, compares and judges both, and runs again what its helper module says', async () => {
    const project = await connected('diabetes-progression')
    const first = await project.succeeded((await project.push('Predict progression')).commit)
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
    const project = await connected('digits')
    const execution = await project.succeeded((await project.push('Read digits')).commit)
    expect(nodeOf(execution, 'evaluate').metrics!.accuracy).toBeGreaterThan(0.95)
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
