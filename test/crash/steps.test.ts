import { spawnSync } from 'node:child_process'
import { chmodSync, statSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { cancelExecution } from '../../src/executions/executions-contract.ts'
import { Family } from '../journeys/support/family.ts'
import { nodeOf, Project, statesOf } from '../journeys/support/project.ts'
import { huntSteps, stepProcesses } from './support/hunt.ts'
import { killHard, linesOf, OwnServer, pidOf } from './support/kill.ts'

// kill -9 of the server while steps run and start. What really happened is told by files that the steps write outside
// their workspaces.

let family: Family
let server: OwnServer
beforeAll(async () => {
  family = await Family.start(['--slots', '4'])
  server = await OwnServer.takeOver(family)
})
beforeEach(() => server.ensure())
afterAll(async () => {
  await server?.kill()
  await family?.stop()
})

const witness = (name: string) => join(family.folder, `witness-${name}`)

it('adopts a step that ran when the server was killed: the same process, once, with its whole log and result', async () => {
  const seen = witness('adopted')
  const project = await Project.connect(family, 'adopted', {
    'modelwright.yaml': `project: adopted
steps:
  long: { run: sh long.sh, deps: [long.sh], outs: [out] }
  after: { run: cp out copy, deps: [out], outs: [copy] }
`,
    'long.sh': `echo $$ >> ${seen}; echo before; while [ ! -e ${seen}-go ]; do sleep 0.05; done; echo after; echo result > out\n`,
  })
  const { commit } = await project.push('one')
  const { id } = await project.started(commit)
  await project.eventually('the step runs', async () => linesOf(seen).length === 1)
  const pid = linesOf(seen)[0]
  await server.kill()
  expect((await stepProcesses(family)).length).toBeGreaterThan(0)
  await server.restart()
  writeFileSync(`${seen}-go`, '')
  const execution = await project.endOf(id)
  expect(statesOf(execution)).toEqual({ long: 'succeeded', after: 'succeeded' })
  expect(linesOf(seen)).toEqual([pid])
  expect(nodeOf(execution, 'long').attempt).toBe(1)
  expect(await project.log(id, 'long')).toBe('before\nafter\n')
  const run = await fetch(`${family.url}/api/2.0/mlflow/runs/get?run_id=${nodeOf(execution, 'long').runId}`)
  expect(await run.json()).toMatchObject({ run: { info: { status: 'FINISHED' } } })
  expect(await project.executions()).toHaveLength(1)
})

it('takes in a step that ended while no server was there', async () => {
  const seen = witness('meanwhile')
  const project = await Project.connect(family, 'meanwhile', {
    'modelwright.yaml': 'project: meanwhile\nsteps:\n  bad: { run: sh bad.sh, deps: [bad.sh] }\n',
    'bad.sh': `echo $$ >> ${seen}; sleep 0.3; echo last words >&2; exit 7\n`,
  })
  const { commit } = await project.push('one')
  const { id } = await project.started(commit)
  await project.eventually('the step runs', async () => linesOf(seen).length === 1)
  await server.kill()
  await sleep(600)
  await server.restart()
  const execution = await project.endOf(id)
  expect(nodeOf(execution, 'bad').error).toMatchObject({ code: 'StepFailed' })
  expect(nodeOf(execution, 'bad').error!.message).toMatch(/exit status 7.*last words/)
  expect(linesOf(seen)).toHaveLength(1)
})

it('ends as cancelled what was cancelled before it had its environment, however the server went meanwhile', async () => {
  const project = await Project.connect(family, 'early', {
    'requirements.txt': '',
    'modelwright.yaml': `project: early
python: { version: ">= 3.8", requirements: requirements.txt }
steps:
  warm: { run: 'echo > a', outs: [a] }
  early: { run: 'echo > b', deps: [a], outs: [b] }
`,
  })
  await project.succeeded((await project.push('one')).commit)
  const words = ['-P', String(pidOf(family, 'server')), '-f', 'modelwright_launcher']
  const launcher = Number(spawnSync('pgrep', words, { encoding: 'utf8' }).stdout)
  // Its steps stay where they are about to start.
  process.kill(launcher, 'SIGSTOP')
  const text = (await readFile(join(project.folder, 'modelwright.yaml'), 'utf8')).replace('echo > b', 'echo 2 > b')
  const { commit } = await project.push('two', { 'modelwright.yaml': text })
  const { id } = await project.started(commit)
  const isStarting = async () => nodeOf(await project.execution(id), 'early').state === 'starting'
  await project.eventually('the step is about to start', isStarting)
  await family.client(cancelExecution, { params: { id } })
  await server.kill()
  process.kill(launcher, 'SIGKILL')
  await server.restart()
  expect(statesOf(await project.endOf(id))).toMatchObject({ early: 'cancelled' })
  const after = await project.push('three', { 'README.md': 'more' })
  expect(statesOf(await project.succeeded(after.commit))).toMatchObject({ warm: 'reused', early: 'succeeded' })
})

it('makes again what lies altered under its own size, and gives it to nobody', async () => {
  const project = await Project.connect(family, 'torn', {
    'modelwright.yaml': `project: torn
steps:
  made: { run: 'seq 1000 > a', outs: [a] }
  taken: { run: 'cp a b', deps: [a], outs: [b] }
`,
  })
  await project.succeeded((await project.push('one')).commit)
  const [made] = spawnSync('grep', ['-rlx', '777', join(family.dataDir, 'objects', 'sha256')], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter(Boolean)
  chmodSync(made!, 0o644)
  writeFileSync(made!, Buffer.alloc(statSync(made!).size))
  const text = (await readFile(join(project.folder, 'modelwright.yaml'), 'utf8')).replace('cp a b', 'wc -l < a > b')
  const second = await project.ended((await project.push('two', { 'modelwright.yaml': text })).commit)
  expect(nodeOf(second, 'taken')).toMatchObject({ state: 'failed', error: { code: 'DependencyMissing' } })
  const third = await project.succeeded((await project.push('three', { 'README.md': 'more' })).commit)
  expect(statesOf(third)).toEqual({ made: 'succeeded', taken: 'succeeded' })
})

it('runs a step anew, and says so, when its runner was killed with the server', async () => {
  const seen = witness('lost')
  const project = await Project.connect(family, 'lost', {
    'modelwright.yaml': 'project: lost\nsteps:\n  work: { run: sh work.sh, deps: [work.sh], outs: [out] }\n',
    'work.sh': `echo $PPID >> ${seen}; [ $(wc -l < ${seen}) -gt 1 ] || sleep 60; echo done > out\n`,
  })
  const { commit } = await project.push('one')
  const { id } = await project.started(commit)
  await project.eventually('the step runs', async () => linesOf(seen).length === 1)
  const child = await stepProcesses(family)
  for (const pid of child) await killHard(pid).catch(() => undefined)
  await server.restart()
  const execution = await project.endOf(id)
  expect(statesOf(execution)).toEqual({ work: 'succeeded' })
  expect(nodeOf(execution, 'work').attempt).toBe(2)
  expect(linesOf(seen)).toHaveLength(2)
})

it('cancels a step for good when the server is killed right after the cancel was taken', async () => {
  const seen = witness('cancelled')
  const project = await Project.connect(family, 'cancel-kill', {
    'modelwright.yaml': `project: cancel-kill
steps:
  endless: { run: sh endless.sh, deps: [endless.sh], outs: [never] }
  after: { run: cp never b, deps: [never], outs: [b] }
`,
    'endless.sh': `trap "" TERM; echo $$ >> ${seen}; sleep 600; sleep 600\n`,
  })
  const { commit } = await project.push('one')
  const { id } = await project.started(commit)
  await project.eventually('the step runs', async () => linesOf(seen).length === 1)
  await family.client(cancelExecution, { params: { id } })
  await server.restart()
  const execution = await project.endOf(id)
  expect(execution.state).toBe('cancelled')
  expect(statesOf(execution).endless).toBe('cancelled')
  expect(linesOf(seen)).toHaveLength(1)
  expect(await stepProcesses(family)).toEqual([])
})

it('ends an execution that is cancelled while it starts, at whatever moment', async () => {
  const seen = witness('early')
  const project = await Project.connect(family, 'cancel-early', {
    'modelwright.yaml': `project: cancel-early
steps:
  one: { run: 'echo one $$ >> ${seen}; sleep 300' }
  two: { run: 'echo two $$ >> ${seen}; sleep 300' }
`,
  })
  await project.push('first')
  for (const [index, pause] of [0, 5, 10, 20, 40, 80].entries()) {
    const commit = await project.commit(`again ${index}`, { 'modelwright.yaml': earlyFile(seen, index) })
    await project.tryPush()
    const { id } = await project.started(commit)
    await sleep(pause)
    await family.client(cancelExecution, { params: { id } })
    expect((await project.endOf(id)).state).toBe('cancelled')
  }
  for (const { id, state } of await project.executions())
    if (state === 'running') await family.client(cancelExecution, { params: { id } })
  await project.eventually('no step is left', async () => (await stepProcesses(family)).length === 0, 120_000)
})

const earlyFile = (seen: string, index: number) => `project: cancel-early
steps:
  one: { run: 'echo one${index} >> ${seen}; sleep 300' }
  two: { run: 'echo two${index} >> ${seen}; sleep 300' }
`

it('carries every step out exactly once through kills at random moments, and leaves nothing behind', async () => {
  await huntSteps(family, server, { name: 'hunted', kills: 8, seed: 7, longestMs: 1_500 })
})
