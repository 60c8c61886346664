// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${matrix.x} is a word of modelwright.yaml
import { describe, expect, it } from 'vitest'
import { processorMs } from '../../../test/support/processor-time.ts'
import { isAppError } from '../../kernel/errors.ts'
import type { ProjectFile } from '../project-file.ts'
import { parseProjectFile } from './parse-project-file.ts'
import { renderCommand } from './render-command.ts'
import { upstreamSteps } from './step-graph.ts'

const fileOf = (steps: string, rest = ''): ProjectFile =>
  parseProjectFile(`project: p\nsteps:\n${steps.replaceAll(/^/gm, '  ')}\n${rest}`)

function refusalOf(steps: string, rest = ''): string {
  try {
    fileOf(steps, rest)
  } catch (error) {
    if (isAppError(error)) return error.message
    throw error
  }
  throw new Error('The file was accepted.')
}

describe('a matrix', () => {
  it('becomes one step for each combination, the first name turning slowest', () => {
    const { steps } = fileOf('train: { run: "true", matrix: { model: [xgb, sklearn], depth: [3, 5] } }')
    expect(Object.keys(steps)).toEqual(['train@xgb-3', 'train@xgb-5', 'train@sklearn-3', 'train@sklearn-5'])
    expect(steps['train@xgb-5']?.matrix).toEqual({ of: 'train', values: { model: 'xgb', depth: 5 } })
  })

  it('fills its values in wherever a value may stand, and keeps the type of a parameter that is nothing else', () => {
    const { steps } = fileOf(
      [
        'train:',
        '  run: train ${matrix.model} ${params.depth}',
        '  matrix: { model: [xgb], depth: [3] }',
        '  deps: ["conf/${matrix.model}.json"]',
        '  outs: ["work/${matrix.model}/${matrix.depth}"]',
        '  params: { depth: "${matrix.depth}", label: "d=${matrix.depth}" }',
        '  metrics: "m/${matrix.model}.json"',
        '  model: price-${matrix.model}',
        '  mutex: gpu-${matrix.model}',
        '  checkpoints: ckpt/${matrix.model}',
      ].join('\n'),
    )
    expect(steps['train@xgb-3']).toMatchObject({
      deps: [{ kind: 'path', path: 'conf/xgb.json' }],
      outs: ['work/xgb/3'],
      params: { depth: 3, label: 'd=3' },
      metrics: 'm/xgb.json',
      model: 'price-xgb',
      mutex: 'gpu-xgb',
      checkpoints: 'ckpt/xgb',
    })
    expect(renderCommand(steps['train@xgb-3']!, { depth: 3 })).toBe("train 'xgb' '3'")
  })

  it('never lets a value be read as shell, not even one that looks like a parameter', () => {
    const { steps } = fileOf(
      `a: { run: "echo \${matrix.v}", params: { x: 1 }, matrix: { v: ["; rm -rf /", "\${params.x}", "it's"] } }`,
    )
    const commands = Object.values(steps).map((step) => renderCommand(step, { x: "'; boom" }))
    expect(commands).toEqual(["echo '; rm -rf /'", "echo '$''{params.x}'", "echo 'it'\\''s'"])
  })

  it('gives values that would have one name an index', () => {
    const { steps } = fileOf('a: { run: "true", matrix: { v: ["x y", "x/y", champion] } }')
    expect(Object.keys(steps)).toEqual(['a@x-y', 'a@x-y-2', 'a@champion-2'])
  })

  it('is joined by a step that reads the folder, and followed value by value where paths say so', () => {
    const { steps } = fileOf(
      [
        'train: { run: "true", matrix: { m: [a, b] }, outs: ["work/${matrix.m}"], model: "x-${matrix.m}" }',
        'check: { run: "true", matrix: { m: [a, b] }, deps: ["model:x-${matrix.m}"] }',
        'join: { run: "true", deps: [work/] }',
      ].join('\n'),
    )
    expect(Object.fromEntries(upstreamSteps(steps))).toMatchObject({
      'check@a': ['train@a'],
      'check@b': ['train@b'],
      join: ['train@a', 'train@b'],
    })
  })

  it.each([
    [
      'two nodes that write the same',
      'a: { run: "true", matrix: { v: [1, 2] }, outs: [o] }',
      'put ${matrix.v} into the path',
    ],
    [
      'a model that two nodes log',
      'a: { run: "true", matrix: { v: [1, 2] }, model: m }',
      'put ${matrix.v} into the name',
    ],
    [
      'a value that leaves the repository',
      'a: { run: "true", matrix: { v: [".."] }, outs: ["o/${matrix.v}/x"] }',
      '".."',
    ],
    [
      'a value that makes a pattern',
      'a: { run: "true", matrix: { v: ["*"] }, outs: ["o/${matrix.v}"] }',
      'a pattern cannot stand here',
    ],
    [
      'a value that is nothing',
      'a: { run: "true", matrix: { v: [""] }, outs: ["o/${matrix.v}"] }',
      'a part of it is empty',
    ],
    [
      'a name that matrix: does not have',
      'a: { run: "echo ${matrix.w}", matrix: { v: [1] } }',
      'matrix: of this step has v',
    ],
    ['a reference without a matrix', 'a: { run: "echo ${matrix.w}" }', 'this step has no matrix:'],
    ['a value inside quotes', 'a: { run: \'echo "${matrix.v}"\', matrix: { v: [1] } }', 'inside quotes'],
    ['a value twice', 'a: { run: "true", matrix: { v: [1, 1] } }', 'found "1" a second time'],
    [
      'nodes that read each other',
      'a: { run: "true", matrix: { v: [1, 2] }, deps: [o/], outs: ["o/${matrix.v}"] }',
      'cannot depend on what it writes',
    ],
    ['more than 10,000', `a: { run: "true", matrix: { a: [${range(101)}], b: [${range(100)}] } }`, 'at most 10000'],
    ['a tangle of millions of lines', tangle(1500), 'dependencies between steps'],
  ])('refuses %s', (_, steps, words) => expect(refusalOf(steps)).toContain(words))

  it('tells a problem of a thousand nodes once, at the line of the file', () => {
    const message = refusalOf(`a: { run: "true", matrix: { v: [${range(1000)}] }, outs: [o] }`)
    expect(message.split('\n')).toHaveLength(1)
    expect(message).toMatch(/^modelwright\.yaml:3:/)
  })
})

describe('a gate over a matrix', () => {
  const steps = [
    'train: { run: "true", matrix: { m: [a, b] }, model: "x-${matrix.m}" }',
    'evaluate: { run: "true", matrix: { m: [a, b] }, deps: ["model:x-${matrix.m}"], metrics: true }',
  ].join('\n')
  const gate = (model: string, metric: string) =>
    `models: { ${model}: { gate: { objectives: [{ metric: ${metric}, pass: "<= 1" }] } } }`

  it('means the one node that takes its model', () => {
    const { models } = fileOf(steps, gate('x-b', 'evaluate.rmse'))
    expect(models['x-b']?.gate?.objectives[0]).toMatchObject({ step: 'evaluate@b', name: 'rmse' })
  })

  it('may name a node', () => {
    const { models } = fileOf(steps, gate('x-b', 'evaluate@a.rmse'))
    expect(models['x-b']?.gate?.objectives[0]).toMatchObject({ step: 'evaluate@a', name: 'rmse' })
  })

  it('is refused where no node or several take its model', () => {
    const loose = steps.replace('model:x-${matrix.m}', 'model:x-b')
    expect(refusalOf(loose, gate('x-b', 'evaluate.rmse'))).toContain('name one of them: evaluate@a, evaluate@b')
  })
})

describe('foreach', () => {
  const prepare = 'list: { run: "true", outs: [work/items.json], metrics: true }\n'

  it('waits for the step that writes its list, and what reads its outputs waits for it', () => {
    const { steps } = fileOf(
      `${prepare}each: { run: "echo \${item.name}", foreach: work/items.json, outs: ["parts/\${item.name}.csv"] }\njoin: { run: "true", deps: [parts/] }\none: { run: "true", deps: [parts/a.csv] }\nother: { run: "true", deps: [work/] }`,
    )
    expect(Object.fromEntries(upstreamSteps(steps))).toEqual({
      list: [],
      each: ['list'],
      join: ['each'],
      one: ['each'],
      other: ['list'],
    })
    expect(steps.each?.foreach).toEqual({ list: 'work/items.json', atMost: 100 })
  })

  it('leaves ${item} in a command without foreach to the shell', () =>
    expect(fileOf('a: { run: "for item in 1 2; do echo ${item}; done" }').steps.a?.run).toContain('${item}'))

  it.each([
    ['a list that nobody writes', 'a: { run: "true", foreach: work/items.json }', 'no step writes it'],
    [
      'an output that all items share',
      `${prepare}a: { run: "true", foreach: work/items.json, outs: [o] }`,
      'put ${item} into the path',
    ],
    ['an item in a path without foreach', 'a: { run: "true", outs: ["o/${item}"] }', 'has no foreach:'],
    [
      'an item in deps',
      `${prepare}a: { run: "true", foreach: work/items.json, deps: ["d/\${item}"] }`,
      'can stand in run:',
    ],
    [
      'an output that may meet another',
      `${prepare}a: { run: "true", foreach: work/items.json, outs: ["work/\${item}.json"] }`,
      'overlaps',
    ],
    ['an item inside quotes', `${prepare}a: { run: 'echo "\${item}"', foreach: work/items.json }`, 'inside quotes'],
  ])('refuses %s', (_, steps, words) => expect(refusalOf(steps)).toContain(words))
})

describe('when', () => {
  const measured = 'list: { run: "true", metrics: true }\n'

  it('makes the step wait for the one whose metric it asks for', () => {
    const { steps } = fileOf(`${measured}a: { run: "true", when: "list.rows >= 100" }`)
    expect(upstreamSteps(steps).get('a')).toEqual(['list'])
  })

  it.each([
    ['an unknown step', 'a: { run: "true", when: "lists.rows >= 1" }', 'did you mean "list"?'],
    ['a step without metrics', 'b: { run: "true" }\na: { run: "true", when: "b.rows >= 1" }', 'has no metrics: true'],
    ['a metric of itself', 'a: { run: "true", metrics: true, when: "a.rows >= 1" }', 'a metric of the step itself'],
    [
      'a whole matrix',
      'b: { run: "true", matrix: { v: [1, 2] }, metrics: true }\na: { run: "true", when: "b.x >= 1" }',
      'name one of them: b@1, b@2',
    ],
    [
      'a parameter that it does not have',
      'a: { run: "true", when: "params.depth == 3" }',
      'there is no such parameter',
    ],
    [
      'two steps that wait for each other',
      'b: { run: "true", metrics: true, when: "a.x > 1" }\na: { run: "true", metrics: true, when: "b.x > 1" }',
      'found a cycle',
    ],
  ])('refuses %s', (_, steps, words) => expect(refusalOf(measured + steps)).toContain(words))
})

it('reads a file of 10,000 steps in about half a second of one processor', async () => {
  const read = () => {
    const { steps } = fileOf(
      `a: { run: "true", matrix: { a: [${range(100)}], b: [${range(99)}] }, outs: ["o/\${matrix.a}/\${matrix.b}"] }\njoin: { run: "true", deps: [o/] }`,
    )
    expect(Object.keys(steps)).toHaveLength(9901)
  }
  expect(await processorMs(read)).toBeLessThan(4_000)
})

function range(count: number): string {
  return Array.from({ length: count }, (_, i) => i).join(', ')
}

function tangle(count: number): string {
  return `a: { run: "true", matrix: { v: [${range(count)}] }, outs: ["o/\${matrix.v}"] }\nb: { run: "true", matrix: { v: [${range(count)}] }, deps: [o/], outs: ["p/\${matrix.v}"] }`
}
