import { expect, it } from 'vitest'
import { readScoringRequest } from './scoring-request.ts'

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)
const read = (body: string) => readScoringRequest('application/json', Buffer.from(body))

it('refuses what nests deeper than anything could tell, compare or write down, wherever it stands', async () => {
  const deep = nested(20_000)
  for (const body of [
    `{"dataframe_records": [{"a": ${deep}}]}`,
    `{"inputs": {"a": ${deep}}}`,
    `{"instances": [1], "params": {"__proto__": ${deep}}}`,
    deep,
  ])
    await expect(read(body)).rejects.toMatchObject({ status: 400, message: expect.stringContaining('nests more than') })
})

it('takes what nests less, and long bodies that do not nest', async () => {
  expect((await read(`{"instances": [${nested(900)}]}`)).rows).toHaveLength(1)
  expect((await read(`{"instances": [${Array(5_000).fill('[1]').join()}]}`)).rows).toHaveLength(5_000)
})

it('counts lists and objects alike, to the last level', async () => {
  const mixed = (pairs: number) => '[{"a":'.repeat(pairs) + 1 + '}]'.repeat(pairs)
  for (const [inner, more] of [
    [nested(998), nested(999)],
    [mixed(499), `[${mixed(499)}]`],
  ]) {
    expect((await read(`{"instances": [${inner}]}`)).rows).toHaveLength(1)
    await expect(read(`{"instances": [${more}]}`)).rejects.toThrow('nests more than 1000')
  }
})
