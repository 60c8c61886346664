import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { SystemClock } from '../../adapters/clock/system/system-clock.ts'
import { digestOf } from '../../kernel/digest.ts'
import { openBackend, type VersionBackend } from '../models/open-backend.ts'
import { joinedElements } from '../tensor.ts'

// Made by test/fixtures/converted/make_fixture.py; what is expected is scikit-learn's own answer.
const fixture = new URL('../../../test/fixtures/converted/', import.meta.url).pathname
const expected = JSON.parse(readFileSync(`${fixture}expected.json`, 'utf8')) as { labels: string[]; yes: number[] }
const rows = readFileSync(`${fixture}rows.csv`, 'utf8')
  .trim()
  .split('\n')
  .slice(1)
  .map((line) => line.split(','))
  .map(([, city, age, income, member]) => ({
    city: city!,
    age: Number(age),
    income: Number(income),
    member: member === 'True',
  }))
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }
let model: VersionBackend

beforeAll(async () => {
  await new Promise<void>((resolve, reject) => {
    model = openBackend(
      {
        model: 'm',
        version: 1,
        digest: digestOf('m'),
        modelPath: `${fixture}model`,
        pythonPath: '',
        inputs: { columns: [], checks: [] },
      },
      {
        clock: new SystemClock(),
        log: quiet,
        script: '',
        folder: tmpdir(),
        env: {},
        limits: { queueLength: 8, waitMs: 5_000, answerMs: 5_000, loadMs: 20_000 },
        changed: () => (model.state === 'ready' ? resolve() : reject(new Error(model.reason))),
      },
    )
    model.start()
  })
})
afterAll(() => model.drainAndStop(0))

const score = async (records: object[]) => {
  const body = Buffer.from(JSON.stringify({ dataframe_records: records }))
  const answer = await model.score({ body, form: 'json', drop: [] })
  return answer.ok ? (JSON.parse(answer.body.toString()) as { predictions: unknown }) : answer
}

it('answers in the form in which the original answers: a list of its own labels', async () => {
  expect(await score(rows)).toEqual({ predictions: expected.labels })
})

it('takes the columns of the signature as tensors, and gives the probabilities beside the labels', async () => {
  expect(model.facts.inputs.map(({ name }) => name)).toEqual(['city', 'age', 'income', 'member'])
  const number = (name: 'age' | 'income') => Buffer.from(Float64Array.from(rows.map((row) => row[name])).buffer)
  const shape = [rows.length]
  const answer = await model.infer({
    layout: 'columns',
    parameters: {},
    tensors: [
      { name: 'city', datatype: 'BYTES', shape, bytes: joinedElements(rows.map(({ city }) => Buffer.from(city))) },
      { name: 'age', datatype: 'FP64', shape, bytes: number('age') },
      { name: 'income', datatype: 'FP64', shape: [rows.length, 1], bytes: number('income') },
      { name: 'member', datatype: 'BOOL', shape, bytes: Buffer.from(rows.map(({ member }) => (member ? 1 : 0))) },
    ],
  })
  if (!answer.ok) throw new Error(answer.message)
  expect(answer.tensors.map(({ name }) => name)).toEqual(['output-0', 'probability_no', 'probability_yes'])
  const yes = answer.tensors[2]!.bytes
  for (const [index, probability] of expected.yes.entries())
    expect(yes.readDoubleLE(index * 8)).toBeCloseTo(probability, 6)
})

it('refuses what the original refuses: a missing number, and a text that it does not know', async () => {
  expect(await score([{ ...rows[0]!, income: null }])).toMatchObject({
    ok: false,
    kind: 'request',
    message: 'Column "income", row 0: the value is missing, which the model refuses.',
  })
  expect(await score([rows[0]!, { ...rows[1]!, city: 'Oslo' }])).toMatchObject({
    ok: false,
    message: 'Column "city", row 1: "Oslo" is none of the values that the model knows.',
  })
})
