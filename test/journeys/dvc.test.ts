// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${x} is a word of dvc.yaml
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Family } from './support/family.ts'
import { nodeOf, Project, statesOf } from './support/project.ts'

let family: Family
beforeAll(async () => {
  family = await Family.start(['--slots', '2'])
})
afterAll(() => family?.stop())

const params = (lr: number, elsewhere: number) => `train: { lr: ${lr}, rounds: 2 }\nelsewhere: ${elsewhere}\n`

it("carries out a repository of DVC's as it stands, keyed on the parameters that its stages name", async () => {
  const project = await Project.connect(family, 'pipes', {
    'dvc.yaml': `stages:
  prepare:
    cmd: sh scripts/prepare.sh
    deps: [scripts/prepare.sh, rows.csv]
    outs: [work]
  train:
    foreach: [a, b]
    do:
      cmd:
        - cat params.yaml work/rows.csv > \${item}.txt
        - echo '{"lr":\${train.lr}}' > \${item}.json
      deps: [work]
      params: [train.lr]
      outs: ["\${item}.txt"]
      metrics: [{ "\${item}.json": { cache: false } }]
`,
    'scripts/prepare.sh': 'mkdir -p work; sort rows.csv > work/rows.csv\n',
    'rows.csv': '2\n1\n',
    'params.yaml': params(0.1, 1),
  })
  const first = await project.succeeded((await project.push('one')).commit)
  expect(statesOf(first)).toEqual({ prepare: 'succeeded', 'train-a': 'succeeded', 'train-b': 'succeeded' })
  expect(nodeOf(first, 'train-a').metrics).toEqual({ lr: 0.1 })

  const elsewhere = await project.push('another parameter', { 'params.yaml': params(0.1, 2) })
  expect(statesOf(await project.succeeded(elsewhere.commit))).toEqual({
    prepare: 'reused',
    'train-a': 'reused',
    'train-b': 'reused',
  })

  const own = await project.succeeded((await project.push('its own', { 'params.yaml': params(0.2, 2) })).commit)
  expect(statesOf(own)).toEqual({ prepare: 'reused', 'train-a': 'succeeded', 'train-b': 'succeeded' })
  expect(nodeOf(own, 'train-a').decision?.reasons).toEqual(expect.arrayContaining(['train.lr: 0.1 → 0.2']))
})

it('refuses at the push a stage that it cannot carry out, with its line', async () => {
  const project = await Project.connect(family, 'frozen', {
    'dvc.yaml': 'stages:\n  s:\n    cmd: "true"\n    frozen: true\n',
  })
  await project.commit('one')
  const { code, output } = await project.tryPush()
  expect(code).toBe(1)
  expect(output).toMatch(/NotYetSupported/)
  expect(output).toMatch(/dvc\.yaml:4:\d+ asks for a frozen stage/)
})

it('takes what DVC keeps in a remote that is a folder, files and folders, and verifies it', async () => {
  const remote = join(family.folder, 'dvc-remote')
  const keep = async (text: string, suffix = '') => {
    const md5 = createHash('md5').update(text).digest('hex')
    await mkdir(join(remote, 'files', 'md5', md5.slice(0, 2)), { recursive: true })
    await writeFile(join(remote, 'files', 'md5', md5.slice(0, 2), md5.slice(2) + suffix), text)
    return md5 + suffix
  }
  const rows = await keep('b\na\n')
  const listing = JSON.stringify([
    { md5: await keep('one\n'), relpath: '1.txt' },
    { md5: await keep('two\n'), relpath: 'in/2.txt' },
  ])
  const files = {
    'modelwright.yaml': `project: kept
data: { rows: { path: data/rows.csv.dvc } }
steps:
  sort: { run: "sort $MODELWRIGHT_DATA_ROWS > sorted.txt", deps: ["data:rows"], outs: [sorted.txt] }
  count: { run: "cat images/1.txt images/in/2.txt", deps: [images/] }
`,
    '.dvc/config': `[core]\n    remote = store\n['remote "store"']\n    url = ${remote}\n`,
    'data/rows.csv.dvc': `outs:\n- md5: ${rows}\n  size: 4\n  hash: md5\n  path: rows.csv\n`,
    'images.dvc': `outs:\n- md5: ${await keep(listing, '.dir')}\n  nfiles: 2\n  hash: md5\n  path: images\n`,
  }
  const project = await Project.connect(family, 'kept', files)
  const execution = await project.succeeded((await project.push('one')).commit)
  expect(await project.log(execution.id, 'count')).toBe('one\ntwo\n')

  const missing = 'f'.repeat(32)
  await project.commit('not pushed', { 'data/rows.csv.dvc': files['data/rows.csv.dvc'].replace(rows, missing) })
  const refused = await project.tryPush()
  expect(refused.output).toMatch(/"data\/rows\.csv" is kept by DVC \(md5 f+\), but the remote .* does not have it/)
  expect(refused.output).toContain('dvc push')

  await mkdir(join(remote, 'files', 'md5', 'ff'), { recursive: true })
  await writeFile(join(remote, 'files', 'md5', 'ff', missing.slice(2)), 'others\n')
  expect((await project.tryPush()).output).toMatch(/ObjectCorrupt[\s\S]*other bytes for "data\/rows\.csv"/)
})
