import { afterAll, beforeAll, expect, it } from 'vitest'
import { Family } from './support/family.ts'
import { nodeOf, Project } from './support/project.ts'

// A notebook in an environment of its own from the package registry: the longest way that a `notebook:` step goes.

let family: Family
beforeAll(async () => {
  family = await Family.start(['--slots', '2'])
})
afterAll(() => family?.stop())

const notebook = (...cells: string[]) =>
  JSON.stringify({
    nbformat: 4,
    nbformat_minor: 5,
    metadata: { kernelspec: { name: 'of-another-machine', display_name: 'x' } },
    cells: cells.map((source, index) => ({
      cell_type: 'code',
      id: `c${index}`,
      metadata: {},
      execution_count: null,
      outputs: [],
      source,
    })),
  })

it('is carried out, kept as it was executed, and its failing cell named', async () => {
  const project = await Project.connect(family, 'notebooks', {
    'modelwright.yaml': `project: notebooks
python: { requirements: requirements.txt }
steps:
  well: { notebook: explore.ipynb, deps: [explore.ipynb, table.csv], outs: [sum.txt] }
  badly: { notebook: broken.ipynb, deps: [broken.ipynb] }
`,
    'requirements.txt': 'nbclient\nipykernel\n',
    'table.csv': '1\n2\n3\n',
    'explore.ipynb': notebook(
      'total = sum(int(line) for line in open("table.csv"))\nprint("the sum is", total)',
      'open("sum.txt", "w").write(str(total)); total',
    ),
    'broken.ipynb': notebook('x = 1', 'raise ValueError("not a number")', 'print("never")'),
  })
  const execution = await project.ended((await project.push('one')).commit)
  const [well, badly] = [nodeOf(execution, 'well'), nodeOf(execution, 'badly')]
  expect(well.state, JSON.stringify(well.error)).toBe('succeeded')
  expect(await project.log(execution.id, 'well')).toContain('the sum is 6\n')
  expect(badly.error).toMatchObject({
    code: 'StepFailed',
    message: expect.stringContaining('cell 2 failed: ValueError: not a number'),
  })
  const executed = async (run: string, name: string) => {
    const answer = await fetch(`${family.url}/get-artifact?path=notebooks/${name}&run_uuid=${run}`)
    return (await answer.json()) as { cells: { outputs: { output_type: string; data?: Record<string, string[]> }[] }[] }
  }
  const { cells } = await executed(well.runId!, 'explore.ipynb')
  expect(cells[1]!.outputs[0]!.data).toEqual({ 'text/plain': ['6'] })
  const failed = await executed(badly.runId!, 'broken.ipynb')
  expect(failed.cells.map(({ outputs }) => outputs.map((output) => output.output_type))).toEqual([[], ['error'], []])
})

it('says what the environment lacks for it', async () => {
  const project = await Project.connect(family, 'bare', {
    'modelwright.yaml': 'project: bare\nsteps:\n  one: { notebook: a.ipynb, deps: [a.ipynb] }\n',
    'a.ipynb': notebook('1'),
  })
  const execution = await project.ended((await project.push('one')).commit)
  const { error } = nodeOf(execution, 'one')
  expect(error).toMatchObject({ code: 'StepFailed', message: expect.stringMatching(/Add nbclient and ipykernel/) })
})
