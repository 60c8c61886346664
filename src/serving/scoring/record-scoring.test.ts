import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, expect, it } from 'vitest'
import type { Digest } from '../../kernel/digest.ts'
import { recordScoring, type ScoringRecord } from './record-scoring.ts'

const digest = (letter: string) => `sha256:${letter.repeat(64)}` as Digest
const record: ScoringRecord = {
  ...{ model: 'm', version: '3', modelDigest: digest('a'), input: '/data/in.csv', inputDigest: digest('b') },
  ...{ output: '/data/out.csv', outputDigest: digest('c'), rows: 10, answered: 9, rejected: 1, resumedRows: 0 },
  ...{ user: 'ada', startedAt: 1_000, endedAt: 2_000 },
}
const asked: { path: string; body: Record<string, unknown>; authorization: string | undefined }[] = []
const answers: Record<string, unknown> = {
  'experiments/search': {},
  'experiments/create': { experiment_id: '5' },
  'runs/create': { run: { info: { run_id: 'r1' } } },
}
let refuses = false
const server = createServer(async (request, response) => {
  const path = request.url!.replace('/api/2.0/mlflow/', '')
  asked.push({ path, body: JSON.parse(await text(request)), authorization: request.headers.authorization })
  response.writeHead(refuses ? 403 : 200).end(JSON.stringify(answers[path] ?? {}))
}).listen(0, '127.0.0.1')
const at = () => ({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, authorization: 'Bearer t' })

afterEach(() => {
  asked.length = 0
  refuses = false
})

it('writes down who scored what with which version, as a run that has ended', async () => {
  expect(await recordScoring(record, at())).toBe('r1')
  const body = (path: string) => asked.find((one) => one.path === path)?.body
  expect(asked.every(({ authorization }) => authorization === 'Bearer t')).toBe(true)
  expect(body('runs/create')).toMatchObject({ experiment_id: '5', start_time: 1_000, user_id: 'ada' })
  expect(body('runs/log-inputs')).toMatchObject({
    run_id: 'r1',
    datasets: [{ dataset: { name: '/data/in.csv', source_type: 'local' } }],
  })
  expect(body('runs/log-batch')).toMatchObject({
    tags: expect.arrayContaining([
      { key: 'modelwright.scoring.model', value: 'models:/m/3' },
      { key: 'modelwright.scoring.output_digest', value: digest('c') },
    ]),
    metrics: expect.arrayContaining([{ key: 'scoring.rejected', value: 1, timestamp: 2_000, step: 0 }]),
  })
  expect(body('runs/update')).toEqual({ run_id: 'r1', status: 'FINISHED', end_time: 2_000 })
})

it('writes into the run that is being made, and does not end it', async () => {
  expect(await recordScoring(record, at(), 'own')).toBe('own')
  expect(asked.map(({ path }) => path)).toEqual(['runs/log-inputs', 'runs/log-batch'])
})

it('says that the table is scored where only the record failed', async () => {
  refuses = true
  await expect(recordScoring(record, at())).rejects.toMatchObject({
    code: 'ServerUnreachable',
    message: expect.stringMatching(/^The table is scored, but that is not recorded: .* answers 403/),
  })
})
