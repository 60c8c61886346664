import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { gateEval } from './gate-eval.ts'

type Case = { name: string; slo_yaml: string; values: object; previous_newest_first: object[]; expected: object }
const cases: Case[] = JSON.parse(
  readFileSync(new URL('../../test/fixtures/gates/cases.json', import.meta.url), 'utf8'),
).keptn
const find = (name: string): Case => cases.find((one) => one.name === name)!

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gate-eval-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string, content: unknown): string {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

async function run(
  one: Partial<Case>,
  options: { json?: boolean; keptn?: boolean } = {},
): Promise<{ code: number; out: string }> {
  let out = ''
  const code = await gateEval(
    {
      slo: file('slo.yaml', one.slo_yaml),
      values: file('values.json', one.values),
      previous: one.previous_newest_first ? file('previous.json', one.previous_newest_first) : undefined,
      json: options.json ?? false,
      keptn: options.keptn ?? false,
    },
    {
      out: (text) => {
        out += text
      },
    },
  )
  return { code, out }
}

describe('gate eval', () => {
  it('prints the result as JSON and ends with 0, also when the gate fails', async () => {
    const one = find('spec example: prev=5, value=801')
    const { code, out } = await run(one, { json: true })
    expect(JSON.parse(out)).toEqual(one.expected)
    expect(code).toBe(0)
  })

  it('prints an SLO that cannot be carried out as error and ends with 1', async () => {
    const one = find("invalid or odd criterion '!=5'")
    const { code, out } = await run(one, { json: true, keptn: true })
    expect(JSON.parse(out)).toEqual(one.expected)
    expect(code).toBe(1)
  })

  it('follows Keptn in the deliberate differences only with --keptn', async () => {
    const one = find('random 5')
    expect(JSON.parse((await run(one, { json: true, keptn: true })).out)).toEqual(one.expected)
    expect(JSON.parse((await run(one, { json: true })).out).result).toBe('inconclusive')
  })

  it('needs no previous file', async () => {
    const { out } = await run({ ...find('random 5'), previous_newest_first: undefined }, { json: true })
    expect(JSON.parse(out).result).toBe('inconclusive')
  })

  it('takes whole cases as files of values and previous results', async () => {
    const one = find('random 1')
    const previous = { previous_newest_first: one.previous_newest_first } as unknown as object[]
    const { out } = await run(
      { slo_yaml: one.slo_yaml, values: { values: one.values }, previous_newest_first: previous },
      { json: true },
    )
    expect(JSON.parse(out)).toEqual(one.expected)
  })

  it('prints an aligned table for people', async () => {
    const { out } = await run(find('no history: absolute part still applies'))
    expect(out).toBe(
      [
        'fail  score 50',
        '',
        'OBJECTIVE          STATUS   SCORE  COMPARED  CRITERIA',
        'response_time_p95  warning  1      0         pass <=+10% (left out), pass <600 (missed, 600), warn <=800 (met, 800)',
        '',
        'response_time_p95: there is no earlier value, so "<=+10%" was left out',
        '',
      ].join('\n'),
    )
  })

  it.each([
    ['values that are no JSON', { values: '{ "m": NaN }' as unknown as object }, 'values.json is not JSON'],
    ['a value that is text', { values: { m: '5' } }, 'values.json: m: found "5"; allowed is a number, or null'],
    ['values that are a number', { values: 5 as unknown as object }, 'found 5; allowed is an object'],
    ['earlier results that are no list', { previous_newest_first: {} as object[] }, 'allowed is a list'],
    [
      'an earlier result without result',
      { previous_newest_first: [{ values: {} }] },
      'previous.json[0]: result is nothing',
    ],
  ])('refuses %s', async (_, change, message) => {
    const given = { ...find('random 1'), ...change }
    if (!('previous_newest_first' in change)) given.previous_newest_first = []
    await expect(run(given)).rejects.toMatchObject({
      code: 'GateInputInvalid',
      message: expect.stringContaining(message),
    })
  })

  it('names a file that is not there', async () => {
    const slo = join(folder, 'nowhere.yaml')
    const values = file('values.json', {})
    await expect(gateEval({ slo, values, json: false, keptn: false }, { out: () => {} })).rejects.toMatchObject({
      code: 'NotFound',
      message: `${slo}: there is no such file.`,
    })
  })
})
