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
