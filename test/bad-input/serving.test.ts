import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fastModelFiles } from '../crash/support/fast-model.ts'
import { Load } from '../crash/support/load.ts'
import { Family } from '../journeys/support/family.ts'
import { Project } from '../journeys/support/project.ts'
import { prepareEnvironment, requirements } from '../journeys/support/sorter.ts'
import { testPython } from '../support/python.ts'
import { sendRaw } from './raw.ts'

const python = testPython()

describe.skipIf(!python)('a deployment that serves version 1', () => {
  let family: Family
  let project: Project
  beforeAll(async () => {
    family = await Family.start(['--slots', '2'])
    await prepareEnvironment(family)
    project = await Project.connect(family, 'served', {
      ...fastModelFiles('served', 1, {
        python: 'python: { requirements: requirements.txt }',
        rollout: '    rollout: { canary: [50%, 100%], every: 2s, min_requests: 5, abort: { error_rate: "> 20%" } }',
      }),
      'requirements.txt': requirements,
    })
    await project.succeeded((await project.push('model 1')).commit)
    await project.serves(1)
  })
  afterAll(() => family?.stop())

  const nextModel = async (model: string) => {
    await project.pull()
    const text = await project.remoteFile('modelwright.yaml')
    const changed = text.replace(/log_model\.py [-\d. ]+/, `log_model.py ${model}`)
    return project.push(`model ${model}`, { 'modelwright.yaml': changed })
  }
  const ask = (body: string | Buffer, headers: Record<string, string> = {}) =>
    sendRaw(family.gatewayUrl, {
      method: 'POST',
      path: '/endpoints/served/production/invocations',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    })
  const records = (...rows: unknown[]) => JSON.stringify({ dataframe_records: rows })

  it.each<[what: string, body: string | Buffer, headers: Record<string, string>, status: number, told: RegExp]>([
    ['a missing column', records({ y: 1 }), {}, 400, /x/],
    ['a surplus column', records({ x: 1, more: 2 }), {}, 400, /\\"more\\".*takes: x/],
    ['a column of another type', records({ x: 'many' }), {}, 400, /x.*many|many.*x/],
    ['no rows', records(), {}, 400, /no rows/],
    ['two forms at once', '{"instances":[1],"inputs":[1]}', {}, 400, /exactly one of/],
    ['bare NaN', '{"dataframe_records":[{"x":NaN}]}', {}, 400, /null for a missing value/],
    ['half a body', '{"dataframe_records":[', {}, 400, /not valid JSON/],
    ['brackets 100,000 deep', '['.repeat(100_000), {}, 400, /not valid JSON|JSON object/],
    ['records 50,000 deep', `{"dataframe_records":[${'{"x":'.repeat(50_000)}1${'}'.repeat(50_000)}]}`, {}, 400, /./],
    ['bytes that are no UTF-8', Buffer.from([0xff, 0xfe, 0x7b]), {}, 400, /UTF-8/],
    ['XML', '<x/>', { 'content-type': 'application/xml' }, 415, /application\/json, text\/csv/],
    ['no content type', records({ x: 1 }), { 'content-type': '' }, 415, /found none/],
    ['another character set', records({ x: 1 }), { 'content-type': 'application/json; charset=utf-16' }, 415, /utf-16/],
    ['a body said to be a terabyte', '{', { 'content-length': String(2 ** 40) }, 413, /larger than/],
  ])(
    'refuses %s with its status and the value, and serves the next request',
    async (_, body, headers, status, told) => {
      const answer = await ask(body, headers)
      expect(answer.status, answer.body).toBe(status)
      expect(answer.body).toMatch(told)
      expect(await project.predict([{ x: 1 }])).toMatchObject({ status: 200, body: { predictions: [1] } })
    },
  )

  it('stalls at a model that cannot be loaded, says why, and serves on', async () => {
    await nextModel('2 -1')
    const stalled = await project.eventually('the rollout is stalled', async () => {
      const seen = await project.deployment()
      return seen.state === 'stalled' && seen
    })
    expect(stalled.reason).toMatch(/cannot be loaded.*the weights are missing/)
    expect(stalled.serving?.version).toBe(1)
    expect(await project.predict([{ x: 1 }])).toMatchObject({ status: 200, body: { predictions: [1] } })
    const reverts = (await project.promotions()).filter(({ kind }) => kind === 'revert')
    expect(reverts).toHaveLength(1)
  })

  it('carries a canary on when the clock goes back by a day in its midst', async () => {
    const load = new Load(project)
    await nextModel('3')
    await project.eventually('the canary has begun', async () => (await project.deployment()).rollout?.state === 'step')
    family.clock.turn(-86_400_000)
    await project.serves(3)
    const told = await load.stop()
    expect(told.filter(({ status }) => status !== 200)).toEqual([])
    const [newest] = (await project.deployment()).rollouts
    expect(newest!.decisions.map(({ outcome }) => outcome).sort()).toEqual(['begin', 'finish'])
  })
})
