import { expect, it } from 'vitest'
import { stepsOfModel } from './steps-of-model.ts'

type Nodes = Parameters<typeof stepsOfModel>[0]

const step = (id: string, after: string[], model?: string, item?: string): Nodes[number] =>
  ({
    id,
    kind: 'step',
    after,
    ...(model ? { result: { model: { name: model } } } : {}),
    ...(item ? { item } : {}),
  }) as never

// prepare → train@a, train@b → evaluate@a (with holdout), evaluate@b → report
const nodes: Nodes = [
  { ...step('environment', []), kind: 'environment' },
  step('prepare', ['environment']),
  step('holdout', ['environment']),
  step('train@a', ['prepare'], 'a'),
  step('train@b', ['prepare'], 'b'),
  step('evaluate@a', ['train@a', 'holdout']),
  step('evaluate@b', ['train@b', 'holdout']),
  step('report', ['evaluate@a', 'evaluate@b']),
  step('publish', ['evaluate@a']),
  step('stray', ['prepare']),
]

it('is asked of what made the model, what that needs, and what came of it, with what that needs; of no other model', () => {
  expect([...stepsOfModel(nodes, 'a')!].sort()).toEqual(
    ['environment', 'prepare', 'holdout', 'train@a', 'evaluate@a', 'publish'].sort(),
  )
})

it('takes the items of a list for the list', () => {
  const listed: Nodes = [
    step('list', []),
    { ...step('fit', ['list']), kind: 'fan-out' },
    step('fit@1', ['list'], undefined, '1'),
    step('fit@2', ['list'], undefined, '2'),
    step('train', ['fit'], 'm'),
  ]
  expect([...stepsOfModel(listed, 'm')!].sort()).toEqual(['fit', 'fit@1', 'fit@2', 'list', 'train'])
})

it('does not know the steps of a model that none of them logged', () => {
  expect(stepsOfModel(nodes, 'c')).toBeUndefined()
})

it('is asked of the model that another one was made from, and of what came of both', () => {
  const stacked: Nodes = [step('base', [], 'base'), step('top', ['base'], 'top'), step('evaluate', ['top', 'base'])]
  expect([...stepsOfModel(stacked, 'top')!].sort()).toEqual(['base', 'evaluate', 'top'])
  expect([...stepsOfModel(stacked, 'base')!]).toEqual(['base'])
})
