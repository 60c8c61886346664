// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${item} is a word of modelwright.yaml
import { describe, expect, it } from 'vitest'
import type { Item } from '../project-file.ts'
import { expandItems, readItems } from './expand-items.ts'
import { parseProjectFile } from './parse-project-file.ts'
import { renderCommand } from './render-command.ts'

const stepOf = (words: string) =>
  parseProjectFile(`project: p
steps:
  list: { run: "true", outs: [items.json] }
  each: { foreach: { list: items.json, at_most: 5 }, ${words} }
`).steps.each!

const plain = stepOf('run: "true"')

describe('the list of a foreach', () => {
  it('is read in its order', () => {
    const items: Item[] = ['eu', 3, true, { name: 'us', depth: 5 }]
    expect(readItems(plain, JSON.stringify(items))).toEqual(items)
  })

  it('may be empty', () => expect(readItems(plain, '[]')).toEqual([]))

  it.each([
    ['half a list', '[1, 2', 'it is not JSON'],
    ['nothing', '', 'it is not JSON'],
    ['a map', '{"a": 1}', 'it is a map, not a list'],
    ['null', 'null', 'it is null, not a list'],
    ['too many', '[1, 2, 3, 4, 5, 6]', 'it has 6 items, and at most 5 are carried out'],
    ['a list in it', '[1, [2]]', 'item 1 is a list'],
    ['null in it', '[null]', 'item 0 is null'],
    ['a map in a map', '[{"a": {"b": 1}}]', 'item 0 is a map with more than plain values in it'],
    ['one twice', '["a", "b", "a"]', 'item 2 is the same as item 0: "a"'],
    ['one twice, its keys in another order', '[{"a": 1, "b": 2}, {"b": 2, "a": 1}]', 'item 1 is the same as item 0'],
    ['a NUL character', '["a\\u0000"]', 'a text with a NUL character'],
    ['a number beyond all numbers', '[1e999]', 'item 0 is null'],
  ])('is refused with %s', (_, text, words) => expect(() => readItems(plain, text)).toThrow(words))
})

describe('the steps of a list', () => {
  it('hold their item in command, outputs, parameters and metrics, and nothing of the list', () => {
    const step = stepOf(
      'run: "fit ${item.name} ${params.depth}", outs: ["o/${item.name}"], params: { depth: "${item.depth}", label: "d${item.depth}" }, metrics: "m-${item.name}.json"',
    )
    const [{ step: made } = { step }] = expandItems(step, [{ name: 'us', depth: 5 }])
    expect(made).toMatchObject({
      name: 'each@us-5',
      outs: ['o/us'],
      params: { depth: 5, label: 'd5' },
      metrics: 'm-us.json',
    })
    expect(made.foreach).toBeUndefined()
    expect(renderCommand(made, made.params)).toBe("fit 'us' '5'")
  })

  it('never let an item be read as shell', () => {
    const step = stepOf('run: "echo ${item}", params: { x: 1 }')
    const hostile = ["'; boom; '", '$(boom)', '${params.x}', "${params.x}'; boom"]
    const commands = expandItems(step, hostile).map(({ step: made }) => renderCommand(made, { x: '; boom' }))
    expect(commands).toEqual([
      "echo ''\\''; boom; '\\'''",
      "echo '$(boom)'",
      "echo '$''{params.x}'",
      "echo '$''{params.x}'\\''; boom'",
    ])
  })

  it('have names that tell them apart, whatever stands in the items', () => {
    const names = expandItems(plain, ['a b', 'a/b', '../..', '', 'x'.repeat(500)]).map(({ step }) => step.name)
    expect(names).toEqual(['each@a-b', 'each@a-b-2', 'each@x', 'each@x-2', `each@${'x'.repeat(80)}`])
  })

  it.each<[string, string, Item[], string]>([
    ['a key that an item does not have', '${item.name}', [{ nam: 'a' }], 'item 0 has nam'],
    ['a key where the item is a value', '${item.name}', ['a'], 'item 0 is "a"'],
    ['the item itself where it is a map', '${item}', [{ name: 'a' }], 'item 0 is a map of name'],
    ['a value with a slash', '${item}', ['a/b'], 'a value in a path holds no "/"'],
    ['a value that leaves the repository', '${item}', ['..'], 'leaves the repository'],
    ['a value that is a pattern', '${item}', ['*'], 'a pattern cannot stand here'],
    ['a value that is nothing', '${item}', [''], 'a part of it is empty'],
    [
      'two items that write the same',
      '${item.name}',
      [
        { name: 'a', v: 1 },
        { name: 'a', v: 2 },
      ],
      'would both write "o/a"',
    ],
  ])('are refused with %s', (_, reference, items, words) =>
    expect(() => expandItems(stepOf(`run: "true", outs: ["o/${reference}"]`), items)).toThrow(words),
  )
})
