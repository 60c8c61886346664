import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { Family } from '../journeys/support/family.ts'
import { nodeOf, Project } from '../journeys/support/project.ts'

// Errors of ours: a file lies where a folder of the server's belongs, so that no step that wants a cache can be laid out.

let family: Family
beforeAll(async () => {
  family = await Family.start()
})
beforeEach(() => {
  rmSync(join(family.dataDir, 'caches'), { recursive: true, force: true })
  writeFileSync(join(family.dataDir, 'caches'), 'not a folder')
})
afterAll(() => family?.stop())

const fileOf = (project: string) => `project: ${project}
steps:
  downloads: { run: echo ${project} > out, caches: [pip], outs: [out] }
  beside: { run: echo ${project} > other, outs: [other] }
`

it('says at the step and in its log what is wrong, and carries it on when that is mended', async () => {
  const project = await Project.connect(family, 'mended', { 'modelwright.yaml': fileOf('mended') })
  const { commit } = await project.push('one')
  const { id } = await project.started(commit)
  const stuck = await project.eventually('the error is told', async () => {
    const execution = await project.execution(id)
    const told = nodeOf(execution, 'downloads').error !== undefined
    return told && nodeOf(execution, 'beside').state === 'succeeded' && execution
  })
  expect(stuck.state).toBe('running')
  expect(nodeOf(stuck, 'downloads')).toMatchObject({ state: 'starting', error: { code: 'StepStuck' } })
  expect(nodeOf(stuck, 'downloads').error!.message).toContain('caches')
  family.clock.turn(60_000)
  await sleep(300)
  family.clock.turn(60_000)
  rmSync(join(family.dataDir, 'caches'))
  await project.eventually('it goes on', async () => {
    family.clock.turn(60_000)
    return (await project.execution(id)).state === 'succeeded'
  })
  const node = nodeOf(await project.execution(id), 'downloads')
  expect(node).toMatchObject({ state: 'succeeded', attempt: 1 })
  expect(node.error).toBeUndefined()
  expect((await project.log(id, 'downloads')).match(/could not be carried on/g)).toHaveLength(1)
})

it('ends a step that it cannot carry as failed, after some tries, with what was wrong and what to do', async () => {
  const project = await Project.connect(family, 'given-up', { 'modelwright.yaml': fileOf('given-up') })
  const { commit } = await project.push('one')
  const { id } = await project.started(commit)
  await project.eventually('it is given up', async () => {
    family.clock.turn(60_000)
    return (await project.execution(id)).state === 'failed'
  })
  const { error, state } = nodeOf(await project.execution(id), 'downloads')
  expect(state).toBe('failed')
  expect(error).toMatchObject({ code: 'StepStuck', next: expect.stringContaining(`modelwright resume ${id}`) })
  expect(error!.message).toMatch(/given up after 10 tries.*caches/)
  const run = await fetch(
    `${family.url}/api/2.0/mlflow/runs/get?run_id=${nodeOf(await project.execution(id), 'downloads').runId}`,
  )
  expect(await run.json()).toMatchObject({ run: { info: { status: 'FAILED' } } })
})
