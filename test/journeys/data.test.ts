import { createHash } from 'node:crypto'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { setSecret } from '../../src/access/step-secrets-contract.ts'
import { cancelExecution, resumeExecution, startExecution } from '../../src/executions/executions-contract.ts'
import { explainStep } from '../../src/executions/explain-contract.ts'
import { listVersions } from '../../src/lineage/lineage-contract.ts'
import { killAndAwait } from '../crash/support/kill.ts'
import { testPython } from '../support/python.ts'
import { Family } from './support/family.ts'
import { type Execution, nodeOf, Project, statesOf } from './support/project.ts'
import { prepareEnvironment, sorterProject } from './support/sorter.ts'

/** What lies at addresses: by its path a text with a tag, or what answers. */
type Files = Map<string, string | RequestListener>

let family: Family
let server: Server
let url: string
let dataRoot: string
const files: Files = new Map()
const sent: string[] = []

beforeAll(async () => {
  server = createServer((request, response) => {
    const file = files.get(request.url!)
    if (file === undefined) return void response.writeHead(404).end()
    if (typeof file !== 'string') return file(request, response)
    const tag = `"${createHash('md5').update(file).digest('hex')}"`
    response.setHeader('etag', tag)
    if (request.headers['if-none-match'] === tag) return void response.writeHead(304).end()
    sent.push(request.url!)
    response.end(file)
  })
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  dataRoot = await mkdtemp(join(tmpdir(), 'modelwright-data-roots-'))
  family = await Family.start(['--slots', '2', '--data-roots', dataRoot])
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await family?.stop()
  await rm(dataRoot, { recursive: true, force: true })
})

const sorting = (project: string, address: string, more = '') => ({
  'modelwright.yaml': `project: ${project}
data: { rows: { path: "${address}"${more} } }
steps:
  sort: { run: "sort $MODELWRIGHT_DATA_ROWS > sorted.txt; echo ${project}", deps: ["data:rows"], outs: [sorted.txt] }
  count: { run: "wc -l < sorted.txt # ${project}", deps: [sorted.txt] }
  other: { run: "echo ${project}" }
`,
})

/** Without the data itself: where the machine stands still for five seconds, a push leaves also the quickest to the execution. */
const stepsOf = (execution: Execution) =>
  Object.fromEntries(Object.entries(statesOf(execution)).filter(([id]) => !id.startsWith('data:')))

const again = async (project: Project, commit: string) => {
  const { execution } = await family.client(startExecution, { params: { project: project.name }, body: { commit } })
  return project.endOf(execution.id)
}

describe('data at an address', () => {
  it('is taken when an execution is planned: unchanged it is asked for and not sent, changed it is used', async () => {
    files.set('/rows.csv', 'b\na\n')
    const project = await Project.connect(family, 'web', sorting('web', `${url}/rows.csv`))
    const { commit, output } = await project.push('one')
    expect(output).toMatch(/sort +(runs|decided after data:rows)/)
    const first = await project.succeeded(commit)
    expect(stepsOf(first)).toEqual({ sort: 'succeeded', count: 'succeeded', other: 'succeeded' })
    expect(first.data).toEqual([
      {
        dataset: 'rows',
        path: '.modelwright/data/rows/rows.csv',
        address: `${url}/rows.csv`,
        digest: expect.any(String),
        size: 4,
      },
    ])
    expect(sent).toEqual(['/rows.csv'])

    expect(stepsOf(await again(project, commit))).toEqual({ sort: 'reused', count: 'reused', other: 'reused' })
    expect(sent).toEqual(['/rows.csv'])

    files.set('/rows.csv', 'c\nb\na\n')
    const explained = await family.client(explainStep, { params: { project: 'web' }, body: { commit, step: 'sort' } })
    expect(explained.lines.join('\n')).toMatch(/data rows changed \([0-9a-f]+ → [0-9a-f]+\)/)
    const second = await again(project, commit)
    expect(stepsOf(second)).toEqual({ sort: 'succeeded', count: 'succeeded', other: 'reused' })
    expect(await project.log(second.id, 'count')).toBe('3\n')
    expect(sent).toEqual(['/rows.csv', '/rows.csv'])
  })

  it('that is slow is fetched first, by the execution, while what does not need it runs', async () => {
    let open: (() => void)[] = []
    files.set('/slow.csv', (_, response) => {
      open.push(() => response.end('b\na\n'))
    })
    const project = await Project.connect(family, 'slow', sorting('slow', `${url}/slow.csv`))
    const before = Date.now()
    const { commit, output } = await project.push('one')
    // For ever, if the push waited for what the server holds back.
    expect(Date.now() - before).toBeLessThan(150_000)
    expect(output).toContain('takes longer than 5 s: it is fetched first')
    expect(output).toMatch(/sort +decided after data:rows/)
    const started = await project.started(commit)
    await project.eventually(
      'other is over',
      async () => nodeOf(await project.execution(started.id), 'other').state === 'succeeded',
    )
    expect(nodeOf(await project.execution(started.id), 'sort').state).toBe('waiting')
    files.set('/slow.csv', 'b\na\n')
    for (const answer of open.splice(0)) answer()
    open = []
    const ended = await project.succeeded(commit)
    expect(statesOf(ended)).toEqual({
      'data:rows': 'succeeded',
      sort: 'succeeded',
      count: 'succeeded',
      other: 'succeeded',
    })
    expect(ended.data).toMatchObject([{ dataset: 'rows', size: 4 }])
    expect(await project.log(ended.id, 'data:rows')).toMatch(/^Asking http.*\nFetching .*\nFetched 4 B: sha256:/)
  })

  it('that is not there fails the execution, not the push; resumed, the execution takes it', async () => {
    const project = await Project.connect(family, 'gone', sorting('gone', `${url}/later.csv`))
    const { commit, output } = await project.push('one')
    expect(output).toContain('answers 404')
    const failed = await project.ended(commit)
    expect(failed.state).toBe('failed')
    expect(statesOf(failed)).toEqual({ 'data:rows': 'failed', sort: 'skipped', count: 'skipped', other: 'succeeded' })
    expect(nodeOf(failed, 'data:rows').error).toMatchObject({ code: 'DataUnavailable' })

    files.set('/later.csv', 'a\n')
    const resumed = await family.client(resumeExecution, { params: { id: failed.id } })
    const ended = await project.endOf(resumed.id)
    expect(statesOf(ended)).toEqual({
      'data:rows': 'succeeded',
      sort: 'succeeded',
      count: 'succeeded',
      other: 'reused',
    })
  })

  it('that is large is fetched by the execution, until that is cancelled', async () => {
    files.set('/large.csv', (_, response) => {
      response.writeHead(200, { 'content-length': 40_000_000 })
      response.write('a\n')
    })
    const project = await Project.connect(family, 'large', sorting('large', `${url}/large.csv`))
    const { commit, output } = await project.push('one')
    expect(output).toContain('has 40.0 MB: it is fetched first')
    const { id } = await project.started(commit)
    await project.eventually('it is being fetched', async () =>
      /Fetching 40.0 MB/.test(await project.log(id, 'data:rows')),
    )
    await family.client(cancelExecution, { params: { id } })
    const ended = await project.endOf(id)
    expect(ended.state).toBe('cancelled')
    expect(statesOf(ended)).toMatchObject({ 'data:rows': 'cancelled', sort: 'cancelled' })
  })

  it('is fetched anew by the server that follows one that was killed amid it', async () => {
    const begun = { times: 0 }
    const large = 'row\n'.repeat(10_000_000)
    files.set('/killed.csv', (_, response) => {
      begun.times++
      response.writeHead(200, { 'content-length': large.length })
      if (begun.times <= 3) response.write('row\n')
      else response.end(large)
    })
    const project = await Project.connect(family, 'killed', sorting('killed', `${url}/killed.csv`))
    const { commit } = await project.push('one')
    const { id } = await project.started(commit)
    await project.eventually('it is being fetched', async () => /Fetching 40/.test(await project.log(id, 'data:rows')))
    await killAndAwait(family, 'server')
    const ended = await project.endOf(id)
    expect(statesOf(ended)).toMatchObject({ 'data:rows': 'succeeded', sort: 'succeeded' })
    expect(ended.data).toMatchObject([{ dataset: 'rows', size: large.length }])
    expect(begun.times).toBe(4)
  })

  it('stays what it was for an execution that is resumed', async () => {
    files.set('/frozen.csv', 'a\n')
    const project = await Project.connect(family, 'frozen', {
      'modelwright.yaml': sorting('frozen', `${url}/frozen.csv`)['modelwright.yaml'].replace(
        '"wc -l < sorted.txt # frozen"',
        '"test -e /tmp/modelwright-never-there || exit 1"',
      ),
    })
    const failed = await project.ended((await project.push('one')).commit)
    files.set('/frozen.csv', 'b\na\n')
    const resumed = await family.client(resumeExecution, { params: { id: failed.id } })
    const ended = await project.endOf(resumed.id)
    expect(nodeOf(ended, 'sort').state).toBe('reused')
    expect(ended.data).toEqual(failed.data)
  })

  it('is cut to a part of its rows where that is asked for, as other data is', async () => {
    const rows = Array.from({ length: 500 }, (_, i) => `r${i}`).join('\n')
    files.set('/many.csv', `id\n${rows}\n`)
    const project = await Project.connect(family, 'many', sorting('many', `${url}/many.csv`, ', key: id'))
    const { commit } = await project.push('one')
    await project.succeeded(commit)
    const body = { commit, sample: 0.1 }
    const { execution } = await family.client(startExecution, { params: { project: 'many' }, body })
    const part = await project.endOf(execution.id)
    expect(stepsOf(part)).toEqual({ sort: 'succeeded', count: 'succeeded', other: 'reused' })
    const counted = Number(await project.log(part.id, 'count'))
    expect(counted).toBeGreaterThan(20)
    expect(counted).toBeLessThan(90)
    expect(statesOf(await again(project, commit))).toMatchObject({ sort: 'reused', count: 'reused' })
  })

  it('may be a file of the server below the folders of --data-roots, and nowhere else', async () => {
    await writeFile(join(dataRoot, 'rows.csv'), 'b\na\n')
    await symlink('/etc/hostname', join(dataRoot, 'out.csv'))
    const project = await Project.connect(family, 'files', sorting('files', `file://${dataRoot}/rows.csv`))
    const { commit } = await project.push('one')
    expect(stepsOf(await project.succeeded(commit))).toEqual({
      sort: 'succeeded',
      count: 'succeeded',
      other: 'succeeded',
    })
    await writeFile(join(dataRoot, 'rows.csv'), 'c\nb\na\n')
    expect(statesOf(await again(project, commit))).toMatchObject({ sort: 'succeeded' })

    const out = await project.push('out', sorting('files', `file://${dataRoot}/out.csv`))
    expect(out.output).toContain('does not lie in a folder that --data-roots names')
    expect(nodeOf(await project.ended(out.commit), 'data:rows').error).toMatchObject({
      code: 'DataUnavailable',
      next: expect.stringContaining('--data-roots'),
    })
  })

  it('is refused at the push where the address itself cannot be right, with its line', async () => {
    const project = await Project.connect(family, 'refused', sorting('refused', 'http://example.org/rows.csv'))
    await project.commit('one')
    const { code, output } = await project.tryPush()
    expect(code).toBe(1)
    expect(output).toMatch(/modelwright\.yaml:2:\d+ .*say https/)
  })

  it('is given its secret, which is asked for by name', async () => {
    files.set('/private.csv', (request, response) => {
      if (request.headers.authorization === 'Bearer open-sesame') response.end('a\n')
      else response.writeHead(401).end()
    })
    const project = await Project.connect(
      family,
      'private',
      sorting('private', `${url}/private.csv`, ', secret: ROWS_TOKEN'),
    )
    const { commit, output } = await project.push('one')
    expect(output).toMatch(/asks for the secret "ROWS_TOKEN", which is set neither/)
    expect(nodeOf(await project.ended(commit), 'data:rows').error).toMatchObject({ code: 'SecretMissing' })
    await family.client(setSecret, {
      params: { name: 'ROWS_TOKEN' },
      query: { project: 'private' },
      body: { value: 'open-sesame' },
    })
    expect(statesOf(await again(project, commit))).toMatchObject({ sort: 'succeeded', count: 'succeeded' })
  })
})

const python = testPython()

describe.skipIf(!python)('a model made of data at an address', () => {
  it('is made again from what lay there then', async () => {
    await prepareEnvironment(family)
    const { 'data/fruits.csv': fruits, ...sorter } = sorterProject('orchard', { byMlflow: true })
    files.set('/fruits.csv', fruits!)
    const project = await Project.connect(family, 'orchard', {
      ...sorter,
      'modelwright.yaml': sorter['modelwright.yaml']!.replace('data/fruits.csv', `"${url}/fruits.csv"`),
    })
    const execution = await project.succeeded((await project.push('one')).commit)
    await project.verdict(execution.id)
    const list = () => family.client(listVersions, { params: { project: 'orchard' }, query: {} })
    await project.eventually('version 1 is there', async () => (await list()).items.length > 0)
    files.delete('/fruits.csv')
    const { code, out, err } = await family.cli(project.folder, 'reproduce', 'orchard-sorter@1', '--json')
    expect(err).toBe('')
    expect(JSON.parse(out)).toMatchObject({ state: 'judged', comparison: { outcome: 'identical' } })
    expect(code).toBe(0)
  })
})
