import { expect, it } from 'vitest'
import { digestOf } from '../../kernel/digest.ts'
import { changedSections, changesOnlyDeployments } from './changed-sections.ts'
import { editDeployment } from './edit-deployment.ts'

const base = 'project: p\nsteps: { train: { run: t, model: m } }\ndeployments: { production: { model: m } }\n'

it('sees a promotion as a change of deployments alone', () => {
  const after = editDeployment(base, 'production', { model: 'm', version: 1, digest: digestOf('v1') })
  expect(changedSections(base, after)).toEqual(['deployments'])
  expect(changesOnlyDeployments(base, after)).toBe(true)
})

it('sees no change in comments, layout, order of keys and defaults written out', () => {
  const after =
    '# hi\ndeployments:\n  production: { model: m }\nsteps: { train: { model: m, run: t, seed: 0 } }\nproject: p\nbranch: main\n'
  expect(changedSections(base, after)).toEqual([])
})

it.each([
  ['a seed', base.replace('run: t', 'run: t, seed: 1'), ['steps']],
  ['a gate', `${base}models: { m: {} }\n`, ['models']],
  ['the Python environment', `${base}python: { requirements: r.txt }\n`, ['python']],
])('sees that %s changed beside deployments', (_, after, sections) => {
  expect(changedSections(base, after)).toEqual(sections)
  expect(changesOnlyDeployments(base, after)).toBe(false)
})

it('complains of a version that is not valid', () => {
  expect(() => changedSections(base, 'projekt: p')).toThrow('did you mean "project"?')
})
