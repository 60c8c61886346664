// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${matrix.x} and ${item} are words of modelwright.yaml
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  cancelExecution,
  getExecution,
  listNodes,
  resumeExecution,
  startExecution,
} from '../../src/executions/executions-contract.ts'
import { Family } from './support/family.ts'
import { type Execution, nodeOf, Project, statesOf } from './support/project.ts'

let family: Family
beforeAll(async () => {
  family = await Family.start(['--slots', '4'])
})
afterAll(() => family?.stop())

const pipeline = (steps: string) => `project: NAME\nsteps:\n${steps}`
const connect = (name: string, steps: string, files: Record<string, string> = {}) =>
  Project.connect(family, name, { 'modelwright.yaml': pipeline(steps).replace('NAME', name), ...files })

const witness = (name: string) => join(family.folder, `witness-${name}`)
const linesOf = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [])

async function run(
  project: Project,
  body: Partial<{ only: string; fresh: 'all' | string[]; set: Record<string, string> }>,
) {
  const commit = await project.head()
  const { execution } = await family.client(startExecution, {
    params: { project: project.name },
    body: { commit, ...body },
  })
  return project.endOf(execution.id)
}

it('runs a matrix side by side, joins it, and runs one value again where only that one changed', async () => {
  const steps = (third: string) => `  train:
    run: cat \${matrix.model}.conf > work/\${matrix.model}/\${matrix.depth}
    matrix: { model: [xgb, sklearn], depth: [3${third}] }
    deps: ["\${matrix.model}.conf"]
    outs: ["work/\${matrix.model}/\${matrix.depth}"]
  join: { run: "cat work/*/* > all", deps: [work/], outs: [all] }
`
  const project = await connect('matrix', steps(''), { 'xgb.conf': 'x1\n', 'sklearn.conf': 's1\n' })
  const first = await project.succeeded((await project.push('one')).commit)
  expect(statesOf(first)).toEqual({ 'train@xgb-3': 'succeeded', 'train@sklearn-3': 'succeeded', join: 'succeeded' })
  const second = await project.succeeded((await project.push('two', { 'xgb.conf': 'x2\n' })).commit)
  expect(statesOf(second)).toEqual({ 'train@xgb-3': 'succeeded', 'train@sklearn-3': 'reused', join: 'succeeded' })
  const wider = { 'modelwright.yaml': pipeline(steps(', 5')).replace('NAME', 'matrix') }
  const third = await project.succeeded((await project.push('three', wider)).commit)
  expect(statesOf(third)).toMatchObject({ 'train@xgb-3': 'reused', 'train@xgb-5': 'succeeded', join: 'succeeded' })
  const only = await run(project, { only: 'train', fresh: ['train'] })
  expect(statesOf(only)).toEqual({
    'train@xgb-3': 'succeeded',
    'train@xgb-5': 'succeeded',
    'train@sklearn-3': 'succeeded',
    'train@sklearn-5': 'succeeded',
  })
})

const eachOf = (
  list: string,
  more = '',
) => `  list: { run: cat list.json > work/items.json, deps: [list.json], outs: [work/items.json] }
  each:
    run: echo \${item.name} \${params.depth} > parts/\${item.name}
    foreach: work/items.json
    outs: ["parts/\${item.name}"]
    params: { depth: "\${item.depth}" }
${more}  join: { run: "cat parts/* > all 2>/dev/null || touch all", deps: [parts/], outs: [all] }
${list}`

it('makes a step for each item of a list, joins them, and runs only a changed item again', async () => {
  const project = await connect('each', eachOf(''), {
    'list.json': '[{"name":"eu","depth":3},{"name":"us","depth":5}]',
  })
  const first = await project.succeeded((await project.push('one')).commit)
  expect(statesOf(first)).toEqual({
    list: 'succeeded',
    each: 'succeeded',
    'each@eu-3': 'succeeded',
    'each@us-5': 'succeeded',
    join: 'succeeded',
  })
  expect(nodeOf(first, 'each@us-5').item).toEqual({ name: 'us', depth: 5 })
  const changed = { 'list.json': '[{"name":"asia","depth":1},{"name":"us","depth":5},{"name":"eu","depth":4}]' }
  const second = await project.succeeded((await project.push('two', changed)).commit)
  expect(statesOf(second)).toMatchObject({
    'each@asia-1': 'succeeded',
    'each@us-5': 'reused',
    'each@eu-4': 'succeeded',
    join: 'succeeded',
  })
  const none = await project.succeeded((await project.push('three', { 'list.json': '[]' })).commit)
  expect(statesOf(none)).toEqual({ list: 'succeeded', each: 'succeeded', join: 'succeeded' })
})

it('refuses a list of a million at once, with what is wrong, and nothing after it runs', async () => {
  const million = JSON.stringify(Array.from({ length: 1_000_000 }, (_, i) => i))
  const project = await connect('million', eachOf(''), { 'list.json': million })
  const execution = await project.ended((await project.push('one')).commit)
  expect(execution).toMatchObject({ state: 'failed', reason: 'each failed' })
  expect(nodeOf(execution, 'each').error).toMatchObject({
    code: 'FanOutInvalid',
    message: expect.stringContaining('it has 1000000 items, and at most 100 are carried out'),
  })
  expect(statesOf(execution)).toEqual({ list: 'succeeded', each: 'failed', join: 'skipped' })
})

it('skips a step whose condition does not hold, and what needs it, and still succeeds', async () => {
  const project = await connect(
    'conditions',
    `  count: { run: "cp rows.json metrics.json", deps: [rows.json], metrics: true }
  train: { run: "touch model", outs: [model], when: ["count.rows >= 100", "branch == main"] }
  after: { run: "cp model copy", deps: [model], outs: [copy] }
  elsewhere: { run: "true", when: "branch != main" }
`,
    { 'rows.json': '{"rows": 50}' },
  )
  const few = await project.succeeded((await project.push('one')).commit)
  expect(statesOf(few)).toEqual({ count: 'succeeded', train: 'skipped', after: 'skipped', elsewhere: 'skipped' })
  expect(nodeOf(few, 'train').decision?.reasons).toEqual(['count.rows >= 100 does not hold: it is 50'])
  expect(nodeOf(few, 'elsewhere').decision?.reasons).toEqual(['branch != main does not hold: it is main'])
  const many = await project.succeeded((await project.push('two', { 'rows.json': '{"rows": 500}' })).commit)
  expect(statesOf(many)).toEqual({ count: 'succeeded', train: 'succeeded', after: 'succeeded', elsewhere: 'skipped' })
  const missing = await project.ended((await project.push('three', { 'rows.json': '{"row": 500}' })).commit)
  expect(nodeOf(missing, 'train').error).toMatchObject({
    code: 'MetricMissing',
    message: expect.stringContaining('it measured: row'),
    next: 'Did you mean "count.row"?',
  })
})

it('never runs two steps of one mutex at once, in whichever executions', async () => {
  const seen = witness('mutex')
  const step = `run: "echo in >> ${seen}; sleep 0.15; echo out >> ${seen}", mutex: database, always: true`
  const projects = await Promise.all(['m1', 'm2'].map((name) => connect(name, `  a: { ${step} }\n  b: { ${step} }\n`)))
  await Promise.all(projects.map(async (project) => project.succeeded((await project.push('one')).commit)))
  expect(linesOf(seen)).toEqual(Array.from({ length: 4 }, () => ['in', 'out']).flat())
})

it('starts no more than the machine has room for', async () => {
  const seen = witness('weights')
  // Each waits for another one, and then for those that must not come.
  const two = `while [ $(grep -c in ${seen}) -lt 2 ]; do sleep 0.02; done`
  const step = (n: number) =>
    `  s${n}: { run: "echo in >> ${seen}; ${two}; sleep 0.2; echo out >> ${seen}; echo ${n}", resources: { cpu: 2 } }\n`
  const project = await connect('weights', [1, 2, 3, 4].map(step).join(''))
  await project.succeeded((await project.push('one')).commit)
  let [now, most] = [0, 0]
  for (const line of linesOf(seen)) most = Math.max(most, line === 'in' ? ++now : now--)
  expect(most).toBe(2)
})

it('carries on what failed: the same commit and parameters, nothing that ended well again', async () => {
  const [ran, works] = [witness('resume'), witness('resume-works')]
  const project = await connect(
    'resumed',
    `  first: { run: "echo first >> ${ran}; touch a", outs: [a], always: true }
  second: { run: "test -e ${works}; cp a b", deps: [a], outs: [b] }
`.replace('test -e', 'set -e; test -e'),
  )
  const failed = await project.ended((await project.push('one')).commit)
  expect(statesOf(failed)).toEqual({ first: 'succeeded', second: 'failed' })
  const again = await family.client(resumeExecution, { params: { id: failed.id } })
  expect(again).toMatchObject({ resumes: failed.id, commit: failed.commit, deployable: failed.deployable })
  expect(statesOf(await project.endOf(again.id))).toEqual({ first: 'reused', second: 'failed' })
  await project.write({ '../../witness-resume-works': '' })
  const well = await family.client(resumeExecution, { params: { id: again.id } })
  expect(statesOf(await project.endOf(well.id))).toEqual({ first: 'reused', second: 'succeeded' })
  expect(linesOf(ran)).toEqual(['first'])
  await expect(family.client(resumeExecution, { params: { id: well.id } })).rejects.toMatchObject({ code: 'Conflict' })
})

it('cancels a fan-out whole', async () => {
  const project = await connect('stopped', eachOf('').replace('run: echo', 'run: sleep 600; echo'), {
    'list.json': '[{"name":"eu","depth":3},{"name":"us","depth":5}]',
  })
  const { id } = await project.started((await project.push('one')).commit)
  await project.eventually('an item runs', async () =>
    (await project.execution(id)).nodes.some((node) => node.item && node.state === 'running'),
  )
  await family.client(cancelExecution, { params: { id } })
  expect(statesOf(await project.endOf(id))).toMatchObject({
    each: 'cancelled',
    'each@eu-3': 'cancelled',
    'each@us-5': 'cancelled',
    join: 'cancelled',
  })
})

it('shows many as one, and their pages', async () => {
  const values = Array.from({ length: 60 }, (_, i) => i).join(', ')
  const project = await connect(
    'wide',
    `  a: { run: "test \${matrix.v} != 7", matrix: { v: [${values}] } }
`,
  )
  const { id } = await project.ended((await project.push('one')).commit)
  const folded: Execution = await family.client(getExecution, { params: { id }, query: { nodes: 'folded' } })
  expect(folded.nodes.map((node) => [node.id, node.kind, node.state, node.group])).toEqual([
    ['a', 'matrix', 'failed', { of: 60, states: { succeeded: 59, failed: 1 } }],
    ['a@7', 'step', 'failed', undefined],
  ])
  const first = await family.client(listNodes, { params: { id }, query: { group: 'a', state: 'succeeded', limit: 50 } })
  const rest = await family.client(listNodes, {
    params: { id },
    query: { group: 'a', state: 'succeeded', limit: 50, pageToken: Number(first.nextPageToken) },
  })
  expect([first.items.length, rest.items.length, rest.nextPageToken]).toEqual([50, 9, undefined])
})
