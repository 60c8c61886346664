// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${x} is a word of dvc.yaml
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { narrowedParams } from './param-file.ts'
import { parseWithDvc } from './parse-project-file.ts'
import { dvcValueFiles, readDvcFile } from './read-dvc-file.ts'

const files = new Map([
  ['params.yaml', 'seed: 1\ntrain: { lr: 0.1, layers: [8, 4], opt: { name: adam } }\nmodels: [xgb, lgb]\n'],
  ['other.json', '{"a": 1, "b": 2}'],
  ['sub/params.yaml', 'seed: 5\n'],
])
const read = (text: string) => readDvcFile(text, files)
const one = (stage: string) => read(`stages:\n  s:\n${stage.replace(/^/gm, '    ')}`).steps.s

it('reads a stage with paths, parameters, outputs and metrics', () => {
  const { steps, paramFiles } = read(`stages:
  train:
    desc: Trains.
    cmd: python train.py \${train.lr}
    deps: [train.py, data/]
    params: [train.lr, train.opt, seed, { other.json: [b] }]
    outs: [model.pkl, { scaler.pkl: { cache: false, push: false } }]
    metrics: [{ m.json: { cache: false } }, n.json]
    plots: [{ curve.csv: { x: fpr, y: tpr } }]
`)
  expect(steps.train).toEqual({
    run: 'python train.py 0.1',
    deps: ['train.py', 'data'],
    params: { 'train.lr': 0.1, 'train.opt.name': 'adam', seed: 1, 'other.b': 2 },
    outs: ['model.pkl', 'scaler.pkl', 'curve.csv', 'n.json'],
    metrics: 'm.json',
  })
  expect(paramFiles.train).toEqual([
    { path: 'params.yaml', keys: ['train.lr', 'train.opt', 'seed'], prefix: '' },
    { path: 'other.json', keys: ['b'], prefix: 'other.' },
  ])
})

it.each<[string, string, object]>([
  ['a list of commands, of which the first that fails is the end', 'cmd: [a, b]', { run: 'set -e\na\nb' }],
  [
    'a folder to work in',
    'cmd: a\nwdir: sub\ndeps: [../x, y]\nparams: [seed]',
    { run: "set -e\ncd 'sub'\na", deps: ['x', 'sub/y'], params: { seed: 5 } },
  ],
  ['a stage that always runs', 'cmd: a\nalways_changed: true', { always: true }],
  ['values of its own', 'cmd: "a ${n.m}"\nvars: [{ n: { m: 3 } }]', { run: 'a 3' }],
  ['values of another file, or some of them', 'cmd: "a ${b}"\nvars: ["other.json:b"]', { run: 'a 2' }],
  ['a whole file of parameters', 'cmd: a\nparams: [{ other.json: null }]', { deps: ['other.json'] }],
  ['an item of a list, and what is no reference', 'cmd: "a ${train.layers[1]} \\\\${HOME}"', { run: 'a 4 ${HOME}' }],
])('understands %s', (_, stage, expected) => {
  expect(one(stage)).toMatchObject(expected)
})

it('makes a stage of each item of a loop and of each combination of a matrix', () => {
  const { steps } = read(`stages:
  fit: { foreach: "\${models}", do: { cmd: "fit \${item}", outs: ["\${item}.pkl"] } }
  named: { foreach: { a: { n: 1 }, b: { n: 2 } }, do: { cmd: "x \${key} \${item.n}" } }
  grid: { matrix: { m: [x, y], n: [1, { k: 7 }] }, cmd: "g \${item.m} \${key}" }
`)
  expect(Object.entries(steps).map(([name, step]) => [name, step.run])).toEqual([
    ['fit-xgb', 'fit xgb'],
    ['fit-lgb', 'fit lgb'],
    ['named-a', 'x a 1'],
    ['named-b', 'x b 2'],
    ['grid-x-1', 'g x x-1'],
    ['grid-x-n1', 'g x x-n1'],
    ['grid-y-1', 'g y y-1'],
    ['grid-y-n1', 'g y y-n1'],
  ])
})

it.each<[string, string, string, number]>([
  ['a frozen stage', 'stages:\n  s:\n    cmd: a\n    frozen: true\n', 'NotYetSupported', 4],
  ['a word that it does not know', 'stages:\n  s:\n    cmd: a\n    live: x\n', 'NotYetSupported', 4],
  [
    'an output that persists',
    'stages:\n  s:\n    cmd: a\n    outs:\n      - o: { persist: true }\n',
    'NotYetSupported',
    5,
  ],
  ['datasets', 'datasets: []\nstages: {}\n', 'NotYetSupported', 1],
  ['an address', 'stages:\n  s:\n    cmd: a\n    deps:\n      - s3://bucket/x\n', 'NotYetSupported', 5],
  ['an unknown value', 'stages:\n  s:\n    cmd: a ${nope}\n', 'ConfigInvalid', 3],
  ['a parameter that is not there', 'stages:\n  s:\n    cmd: a\n    params: [nope]\n', 'ConfigInvalid', 4],
  ['a stage without a command', 'stages:\n  s:\n    deps: [x]\n', 'ConfigInvalid', 3],
])('refuses %s with its line', (_, text, code, line) => {
  expect(() => read(text)).toThrow(
    expect.objectContaining({ code, place: expect.objectContaining({ file: 'dvc.yaml', line }) }),
  )
})

it('names the files that it takes values from', () => {
  const text =
    'vars: [a.yaml, { b: 1 }]\nstages:\n  s: { cmd: x, wdir: sub, params: [lr, { ../c.yaml: [d] }], vars: ["e.json:f"] }\n'
  expect(dvcValueFiles(text).sort()).toEqual(['a.yaml', 'c.yaml', 'params.yaml', 'sub/e.json', 'sub/params.yaml'])
})

it('gives a stage nothing of its file of parameters but what it names, at the values of the execution', () => {
  const file = { path: 'params.yaml', keys: ['train.lr', 'train.opt'], prefix: '' }
  const narrow = narrowedParams(file, files.get('params.yaml')!, { 'train.lr': 0.5, 'train.opt.name': 'sgd' })
  expect(parse(narrow)).toEqual({ train: { lr: 0.5, opt: { name: 'sgd' } } })
})

it('stands in for the steps of a modelwright.yaml that has none, whose other sections hold', () => {
  const text = 'project: p\ndata: { rows: { path: rows.csv } }\n'
  const dvc =
    'stages:\n  a: { cmd: x, deps: [rows.csv], params: [seed], outs: [o.txt] }\n  b: { cmd: y, deps: [o.txt] }\n'
  const file = parseWithDvc(text, { text: dvc, files })
  expect(Object.keys(file.steps)).toEqual(['a', 'b'])
  expect(file.data.rows?.path).toBe('rows.csv')
  expect(file.steps.a?.paramFiles).toHaveLength(1)
  expect(() => parseWithDvc(text, { text: dvc.replace('[o.txt] }\n  b', '[../o] }\n  b'), files })).toThrow(
    /stages of dvc\.yaml/,
  )
})
