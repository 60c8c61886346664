import { readFileSync } from 'node:fs'
import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { cancelExecution } from '../../src/executions/executions-contract.ts'
import { getRun } from '../../src/tracking/tracking-contract.ts'
import { Family, processesOf } from './support/family.ts'
import { type Execution, type Files, nodeOf, Project, statesOf } from './support/project.ts'

// Journeys that need no Python: every step is a line for sh.

let family: Family
beforeAll(async () => {
  family = await Family.start(['--slots', '2'])
})
afterAll(() => family?.stop())

const chain = (project: string) => `project: ${project}
steps:
  count: { run: sh count.sh, deps: [count.sh, words.txt], outs: [count.txt] }
  double: { run: 'echo $(( $(cat count.txt) * 2 )) > double.txt', deps: [count.txt], outs: [double.txt] }
`
const chainFiles = (project: string) => ({
  'modelwright.yaml': chain(project),
  'count.sh': 'wc -w < words.txt | tr -d " " > count.txt; echo "counted $(cat count.txt)"\n',
  'words.txt': 'one two three\n',
  'README.md': 'Words.\n',
})

it('answers a push with the plan and the link, carries it out, and keeps the log', async () => {
  const project = await Project.connect(family, 'words', chainFiles('words'))
  const { commit, output } = await project.push('one')
  expect(output).toMatch(/remote: .*count.*runs/)
  expect(output).toMatch(/remote: .*double.*(decided after|decided later).*count/)
  expect(output).toContain(`${family.url}/projects/words/commits/${commit}`)
  const execution = await project.succeeded(commit)
  expect(execution).toMatchObject({ trigger: { kind: 'push' }, deployable: true })
  expect(await project.log(execution.id, 'count')).toBe('counted 3\n')
})

it('reuses every step for a commit that changes only the README, and runs again only what a change reaches', async () => {
  const project = await Project.connect(family, 'reuse', chainFiles('reuse'))
  await project.succeeded((await project.push('one')).commit)
  const readme = await project.push('Say more', { 'README.md': 'Many words.\n' })
  expect(readme.output).toMatch(/count.*reused/)
  expect(statesOf(await project.succeeded(readme.commit))).toEqual({ count: 'reused', double: 'reused' })
  const sameCount = await project.push('Other words', { 'words.txt': 'vier fünf sechs\n' })
  expect(statesOf(await project.succeeded(sameCount.commit))).toEqual({ count: 'succeeded', double: 'reused' })
})

it('runs independent steps at the same time', async () => {
  const meets = (own: string, other: string) =>
    `: > ${family.folder}/${own}; while [ ! -e ${family.folder}/${other} ]; do sleep 0.05; done`
  const project = await Project.connect(family, 'parallel', {
    'modelwright.yaml': `project: parallel
steps:
  left: { run: '${meets('left', 'right')}; echo l > l', outs: [l] }
  right: { run: '${meets('right', 'left')}; echo r > r', outs: [r] }
  both: { run: cat l r > both, deps: [l, r], outs: [both] }
`,
  })
  const execution = await project.succeeded((await project.push('one')).commit)
  const [left, right, both] = ['left', 'right', 'both'].map((id) => nodeOf(execution, id))
  expect(left!.startedAt!).toBeLessThan(right!.endedAt!)
  expect(right!.startedAt!).toBeLessThan(left!.endedAt!)
  expect(both!.startedAt!).toBeGreaterThanOrEqual(Math.max(left!.endedAt!, right!.endedAt!))
})

it('shows a step only the files that it declared', async () => {
  const project = await Project.connect(family, 'blind', {
    'modelwright.yaml': 'project: blind\nsteps:\n  peek: { run: cat secret.txt, deps: [seen.txt] }\n',
    'seen.txt': 'seen\n',
    'secret.txt': 'unseen\n',
  })
  const execution = await project.ended((await project.push('one')).commit)
  expect(execution.state).toBe('failed')
  expect(await project.log(execution.id, 'peek')).toContain('No such file')
})

it('refuses an invalid file with line, column and the nearest word, and the branch stays where it was', async () => {
  const project = await Project.connect(family, 'invalid', chainFiles('invalid'))
  const { commit } = await project.push('one')
  const text = chain('invalid').replace('double: { run:', 'double: { runn:')
  await project.commit('Break it', { 'modelwright.yaml': text })
  const refused = await project.tryPush()
  expect(refused.code).toBe(1)
  expect(refused.output).toContain('ConfigInvalid')
  expect(refused.output).toMatch(/modelwright\.yaml:4:13 .*runn/)
  expect(refused.output).toContain('"run"')
  expect(await project.remoteHead()).toBe(commit)
  expect(await project.executions()).toHaveLength(1)
})

it('refuses at the push whatever else must not come in, and says what it is', async () => {
  const project = await Project.connect(family, 'bad', chainFiles('bad'))
  const { commit } = await project.push('one')
  const steps = (text: string) => ({ 'modelwright.yaml': `project: bad\nsteps:\n${text}` })
  const bomb = Array.from({ length: 30 }, (_, i) => `b${i + 1}: &b${i + 1} [${Array(9).fill(`*b${i}`).join(',')}]`)
  const bad: [string, RegExp, Files][] = [
    ['a cycle', /cycle: .*→/, steps('  a: { run: x, deps: [b], outs: [a] }\n  b: { run: x, deps: [a], outs: [b] }\n')],
    ['outputs that overlap', /overlaps/, steps('  a: { run: x, outs: [o] }\n  b: { run: x, outs: [o/p] }\n')],
    ['an output outside', /modelwright\.yaml:3:\d+ .*\.\.\/x/, steps('  a: { run: x, outs: [../x] }\n')],
    ['a name for the shell', /modelwright\.yaml:3:\d+ /, steps('  "a; rm -r x": { run: x }\n')],
    ['a wrong project', /"project: other"/, { 'modelwright.yaml': 'project: other\nsteps:\n  a: { run: x }\n' }],
    ['a bomb', /ConfigInvalid/, { 'modelwright.yaml': `b0: &b0 [1]\n${bomb.join('\n')}\n` }],
    ['no file', /modelwright\.yaml/, { 'modelwright.yaml': undefined }],
  ]
  for (const [what, told, files] of bad) {
    await project.commit(what, files)
    const { code, output } = await project.tryPush()
    expect([code, output], what).toEqual([1, expect.stringMatching(told)])
    await project.git('reset', '-q', '--hard', commit)
  }
  await symlink('/etc/passwd', join(project.folder, 'link'))
  await project.commit('a way out')
  expect((await project.tryPush()).output).toMatch(/link → \/etc\/passwd/)
  await project.git('reset', '-q', '--hard', commit)
  await project.git('commit', '-q', '--amend', '-m', 'rewritten')
  expect((await project.tryPush('+main')).code).toBe(1)
  expect(await project.remoteHead()).toBe(commit)
  expect(await project.executions()).toHaveLength(1)
})

it('refuses by name what this version does not do yet, and the branch stays where it was', async () => {
  const project = await Project.connect(family, 'not-yet', chainFiles('not-yet'))
  const { commit } = await project.push('one')
  const text = chain('not-yet').replace('outs: [count.txt] }', 'outs: [count.txt], image: trainer }')
  await project.commit('Ask for more', { 'modelwright.yaml': text })
  const refused = await project.tryPush()
  expect(refused.code).toBe(1)
  expect(refused.output).toContain('NotYetSupported')
  expect(refused.output).toMatch(/modelwright\.yaml:3:\d+ .*image/)
  expect(await project.remoteHead()).toBe(commit)
})

it('tells the last words of a failing step, marks its run FAILED, skips what depends on it and finishes the rest', async () => {
  const project = await Project.connect(family, 'failing', {
    'modelwright.yaml': `project: failing
steps:
  breaks: { run: 'echo begun; echo "no such disk" >&2; exit 3', outs: [a] }
  after: { run: cp a b, deps: [a], outs: [b] }
  last: { run: cp b c, deps: [b], outs: [c] }
  apart: { run: echo fine }
`,
  })
  const execution = await project.ended((await project.push('one')).commit)
  expect(execution.state).toBe('failed')
  expect(statesOf(execution)).toEqual({ breaks: 'failed', after: 'skipped', last: 'skipped', apart: 'succeeded' })
  const breaks = nodeOf(execution, 'breaks')
  expect(breaks.error).toMatchObject({ code: 'StepFailed' })
  expect(breaks.error!.message).toContain('exit status 3')
  expect(breaks.error!.message).toContain('no such disk')
  expect(await project.log(execution.id, 'breaks')).toBe('begun\nno such disk\n')
  const runOf = async (node: string) =>
    (await family.client(getRun, { params: { id: nodeOf(execution, node).runId! } })).status
  expect(await runOf('breaks')).toBe('FAILED')
  expect(await runOf('apart')).toBe('FINISHED')
})

it('leaves nothing in the background of a step, whether it went well or failed', async () => {
  const background = (exit: number) => `'setsid sleep 600 & echo child $!; exit ${exit}'`
  const project = await Project.connect(family, 'background', {
    'modelwright.yaml': `project: background
steps:
  well: { run: ${background(0)} }
  badly: { run: ${background(1)} }
`,
  })
  const execution = await project.ended((await project.push('one')).commit)
  expect(statesOf(execution)).toEqual({ well: 'succeeded', badly: 'failed' })
  for (const node of ['well', 'badly']) {
    expect(await project.log(execution.id, node)).toMatch(/child/)
    const left = () => processesOf(join(family.dataDir, 'work', execution.id, node))
    await project.eventually(`the child of ${node} ends`, async () => (await left()).length === 0, 120_000)
  }
})

it('runs a failed step again when the same commit is mended by another one, not from the cache', async () => {
  const files = (exit: number) => ({
    'modelwright.yaml': 'project: mended\nsteps:\n  work: { run: sh work.sh, deps: [work.sh] }\n',
    'work.sh': `exit ${exit}\n`,
  })
  const project = await Project.connect(family, 'mended', files(1))
  expect((await project.ended((await project.push('broken')).commit)).state).toBe('failed')
  expect((await project.ended((await project.push('mended', files(0))).commit)).state).toBe('succeeded')
  const again = await project.ended((await project.push('broken again', files(1))).commit)
  expect(statesOf(again)).toEqual({ work: 'failed' })
})

it('kills everything that a cancelled step started, also what went into a session of its own', async () => {
  const project = await Project.connect(family, 'cancelled', {
    'modelwright.yaml': `project: cancelled
steps:
  endless: { run: sh endless.sh, deps: [endless.sh], outs: [never] }
  after: { run: cp never b, deps: [never], outs: [b] }
`,
    // The child leaves the group and does not hear SIGTERM.
    'endless.sh': `setsid sh -c 'trap "" TERM; echo child; sleep 600; sleep 600' &
echo parent
wait
`,
  })
  const { id } = await project.started((await project.push('one')).commit)
  const pids = await project.eventually('both processes run', async () => {
    const log = await project.log(id, 'endless')
    return log.includes('parent') && log.includes('child') && processesOf(join(family.dataDir, 'work', id))
  })
  expect(pids.length).toBeGreaterThan(2)
  await family.client(cancelExecution, { params: { id } })
  const execution = await project.endOf(id)
  expect(execution.state).toBe('cancelled')
  expect(pids.filter(isAlive)).toEqual([])
  expect(statesOf(execution).endless).toBe('cancelled')
  expect(['cancelled', 'skipped']).toContain(statesOf(execution).after)
  const { runId } = nodeOf(execution, 'endless')
  expect((await family.client(getRun, { params: { id: runId! } })).status).toBe('KILLED')
})

it('takes exactly one of two pushes at once, and the other one after it was rebased', async () => {
  const ann = await Project.connect(family, 'race', chainFiles('race'))
  await ann.succeeded((await ann.push('one')).commit)
  const bob = await ann.clone()
  await ann.commit("Ann's", { 'ann.txt': 'ann\n' })
  await bob.commit("Bob's", { 'bob.txt': 'bob\n' })
  const runs = await Promise.all([ann.tryPush(), bob.tryPush()])
  expect(runs.map(({ code }) => code).sort(), runs.map(({ output }) => output).join('\n')).toEqual([0, 1])
  const [winner, loser] = runs[0]!.code === 0 ? [ann, bob] : [bob, ann]
  expect(await ann.remoteHead()).toBe(await winner.head())
  await loser.pull()
  const after = await loser.tryPush()
  expect(after.code, after.output).toBe(0)
  const ended: Execution[] = [await winner.succeeded(await winner.head()), await loser.succeeded(await loser.head())]
  expect(ended.map(statesOf)).toEqual([1, 2].map(() => ({ count: 'reused', double: 'reused' })))
  expect(await ann.executions()).toHaveLength(3)
})

it('stops a step at the door when its data breaks a declared check, and names the rows', async () => {
  const project = await Project.connect(family, 'checks', {
    'modelwright.yaml': `project: checks
data:
  fruits:
    path: fruits.csv
    checks: [{ column: size, type: number, range: [0, 100] }, { column: kind, values: [apple, plum] }]
steps:
  use: { run: cat fruits.csv, deps: ['data:fruits'] }
`,
    'fruits.csv': 'size,kind\n10,apple\n500,plum\n20,pear\n30,plum\n',
  })
  const execution = await project.ended((await project.push('one')).commit)
  expect(execution.state).toBe('failed')
  const { error } = nodeOf(execution, 'use')
  expect(error).toMatchObject({ code: 'DataChecksFailed' })
  expect(error!.message).toMatch(/size.*500/s)
  expect(error!.message).toMatch(/kind.*pear/s)
  const mended = await project.push('Mend the data', { 'fruits.csv': 'size,kind\n10,apple\n50,plum\n20,apple\n' })
  expect((await project.ended(mended.commit)).state).toBe('succeeded')
})

it('carries out what is pushed to another branch, but nothing of it is deployable', async () => {
  const project = await Project.connect(family, 'topic', chainFiles('topic'))
  await project.succeeded((await project.push('one')).commit)
  await project.git('switch', '-q', '-c', 'topic/more-words')
  const commit = await project.commit('more words', { 'words.txt': 'one two three four five\n' })
  const pushed = await project.tryPush('topic/more-words')
  expect(pushed.code, pushed.output).toBe(0)
  expect(await project.succeeded(commit)).toMatchObject({ deployable: false, trigger: { kind: 'push' } })
})

it('names the output that a step declared and did not write', async () => {
  const project = await Project.connect(family, 'unwritten', {
    'modelwright.yaml': 'project: unwritten\nsteps:\n  work: { run: echo a > a, outs: [a, b/c.txt] }\n',
  })
  const execution = await project.ended((await project.push('one')).commit)
  const { error } = nodeOf(execution, 'work')
  expect(error).toMatchObject({ code: 'OutputMissing' })
  expect(error!.message).toContain('b/c.txt')
})

it('refuses the result of a step that declares a model and logs none', async () => {
  const project = await Project.connect(family, 'modelless', {
    'modelwright.yaml': 'project: modelless\nsteps:\n  train: { run: echo trained, model: nothing }\n',
  })
  const execution = await project.ended((await project.push('one')).commit)
  expect(nodeOf(execution, 'train')).toMatchObject({ state: 'failed', error: { code: 'ModelMissing' } })
  expect(nodeOf(execution, 'train').error!.message).toContain('nothing')
})

it('runs the working tree as it is without touching it, and a later push of the same content reuses what it made', async () => {
  const project = await Project.connect(family, 'dirty', chainFiles('dirty'))
  const { commit } = await project.push('one')
  await project.succeeded(commit)
  await project.write({ 'words.txt': 'one two three four\n', 'notes.txt': 'not yet added\n' })
  const before = (await project.git('status', '--porcelain')).output
  const run = await family.cli(project.folder, 'run', '--json')
  expect(run.code, run.err + run.out).toBe(0)
  const { execution } = JSON.parse(run.out) as { execution: Execution }
  expect(execution).toMatchObject({ state: 'succeeded', trigger: { kind: 'run' }, deployable: false })
  expect(statesOf(execution)).toEqual({ count: 'succeeded', double: 'succeeded' })
  expect(await project.log(execution.id, 'count')).toBe('counted 4\n')
  expect((await project.git('status', '--porcelain')).output).toBe(before)
  expect(await project.head()).toBe(commit)
  expect(await project.remoteBranches()).toEqual(['main'])

  const pushed = await project.push('Four words')
  expect(statesOf(await project.succeeded(pushed.commit))).toEqual({ count: 'reused', double: 'reused' })
})

it('ends `modelwright run` with 1 and the last words when a step fails', async () => {
  const project = await Project.connect(family, 'dirty-failing', {
    'modelwright.yaml': "project: dirty-failing\nsteps:\n  work: { run: 'echo out of luck; exit 4' }\n",
  })
  await project.commit('one')
  const run = await family.cli(project.folder, 'run')
  expect(run.code).toBe(1)
  expect(run.out + run.err).toContain('out of luck')
})

/** A zombie has ended: it only waits to be reaped. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
