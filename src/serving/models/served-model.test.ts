import { tmpdir } from 'node:os'
import { afterEach, expect, it } from 'vitest'
import { SystemClock } from '../../adapters/clock/system/system-clock.ts'
import { digestOf } from '../../kernel/digest.ts'
import { Explainers } from '../explain/explainers.ts'
import { openBackend } from './open-backend.ts'
import { ServedModel } from './served-model.ts'

const fixture = (name: string) => new URL(`../../../test/fixtures/${name}`, import.meta.url).pathname
const clock = new SystemClock()
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }

const sourceOf = (modelPath: string) => ({
  computing: 1,
  begin: (changed: () => void) =>
    openBackend(
      {
        model: 'm',
        version: 1,
        digest: digestOf(modelPath),
        modelPath,
        pythonPath: '/no/python',
        inputs: { columns: [], checks: [] },
      },
      {
        clock,
        log: quiet,
        script: '',
        folder: tmpdir(),
        env: {},
        limits: { queueLength: 64, waitMs: 5_000, answerMs: 5_000, loadMs: 20_000 },
        changed,
      },
    ),
})

let model: ServedModel
afterEach(() => model.unload())

function served(modelPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const changed = () => {
      if (model.state === 'ready') resolve()
      if (model.state === 'failed') reject(new Error(model.reason))
    }
    model = new ServedModel({
      ...sourceOf(modelPath),
      name: 'm',
      version: '1',
      admission: { queue: 64 },
      explainers: new Explainers({}),
      now: () => clock.now(),
      drainMs: 5_000,
      changed,
    })
    model.load()
  })
}

const records = [{ city: 'Rome', age: 30, income: 20_000.5, member: true }]
const ask = () =>
  model.score({ body: Buffer.from(JSON.stringify({ dataframe_records: records })), form: 'json', drop: [] })

it('answers every question while others take over', async () => {
  await served(fixture('converted/model'))
  let isOver = false
  const answers = new Set<string>()
  const client = async () => {
    while (!isOver) answers.add(String(await ask()))
  }
  const clients = Array.from({ length: 8 }, client)
  expect(await model.exchange(sourceOf(fixture('converted/model')))).toBeUndefined()
  isOver = true
  await Promise.all(clients)
  expect([...answers]).toEqual([String(await ask())])
})

it('stays as it is where the others cannot be loaded, and says why not', async () => {
  await served(fixture('converted/model'))
  const { platform } = model.facts
  expect(await model.exchange(sourceOf('/no/such/model'))).toMatch(/no\/python/)
  expect(model.facts.platform).toBe(platform)
  expect(model.state).toBe('ready')
  expect(String(await ask())).toContain('predictions')
})

it('loads the others where it was unloaded meanwhile', async () => {
  await served(fixture('converted/model'))
  const exchanged = model.exchange(sourceOf(fixture('converted/model')))
  await model.unload()
  expect(await exchanged).toBeUndefined()
  expect(model.state).toBe('unloaded')
})
