import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { linesOf, pidOf } from '../crash/support/kill.ts'
import { Family } from '../journeys/support/family.ts'
import { Project, statesOf } from '../journeys/support/project.ts'

// A machine whose clock jumps: what runs goes on and starts once, and what is pushed afterwards is taken up.

let family: Family
beforeAll(async () => {
  family = await Family.start(['--slots', '2'])
})
afterAll(() => family?.stop())

const day = 86_400_000

it.each([
  ['forward by a year', 365 * day],
  ['back by a day', -day],
])('carries an execution on while the clock goes %s, each step once, and takes the next push', async (what, turn) => {
  const name = what.replaceAll(' ', '-')
  const seen = join(family.folder, `witness-${name}`)
  const project = await Project.connect(family, name, {
    'modelwright.yaml': `project: ${name}
steps:
  first: { run: 'echo first >> ${seen}; sleep 1; echo 1 > a', outs: [a] }
  second: { run: 'echo second >> ${seen}; cp a b', deps: [a], outs: [b] }
`,
  })
  const { commit } = await project.push('one')
  const server = pidOf(family, 'server')
  const { id } = await project.started(commit)
  await project.eventually('the first step runs', async () => linesOf(seen).length === 1)
  family.clock.turn(turn)
  const execution = await project.endOf(id)
  expect(statesOf(execution)).toEqual({ first: 'succeeded', second: 'succeeded' })
  expect(linesOf(seen)).toEqual(['first', 'second'])

  const next = await project.push('two', { 'README.md': 'more\n' })
  expect(statesOf(await project.succeeded(next.commit))).toEqual({ first: 'reused', second: 'reused' })
  expect(await project.executions()).toHaveLength(2)
  expect(linesOf(seen)).toHaveLength(2)
  expect(pidOf(family, 'server')).toBe(server)
})
