import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { TurnableClock } from '../adapters/clock/turnable/turnable-clock.ts'
import type { Db } from '../db/index.ts'
import { digestOf } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import type { CommitId } from '../kernel/ids.ts'
import { conversionText } from './version-conversion.ts'
import { VersionConversions, type VersionConversionsParts } from './version-conversions.ts'
import { VersionConversionsStore } from './version-conversions-store.ts'

// Made by test/fixtures/converted/make_fixture.py: what the real converter writes.
const converted = new URL('../../test/fixtures/converted/model', import.meta.url).pathname
const digest = digestOf('a version')
const limitMs = 300_000
const mlmodel = (flavour: string) => `flavors: { ${flavour}: {}, python_function: {} }
signature: { inputs: '[{"type": "double", "name": "a", "required": true}]', outputs: '[{"type": "long"}]' }
saved_input_example_info: { artifact_path: input_example.json, type: dataframe, pandas_orient: split }
`

eachDatabase('the ONNX form of a deployed version', (database) => {
  let db: Db
  let folder: string
  let clock: TurnableClock
  const told: string[] = []
  beforeEach(async () => {
    db = await database.open()
    folder = mkdtempSync(join(tmpdir(), 'modelwright-conversions-'))
    clock = new TurnableClock(1_000)
    told.length = 0
    mkdirSync(join(folder, 'model'))
    saveModel('sklearn')
  })
  afterEach(async () => {
    await db.destroy()
    rmSync(folder, { recursive: true, force: true })
  })

  const root = () => join(folder, 'conversions')
  const saveModel = (flavour: string) => writeFileSync(join(folder, 'model', 'MLmodel'), mlmodel(flavour))
  /** How often a converter was begun. */
  const begun = () =>
    // Whole lines: the file is there before what is written into it.
    existsSync(join(folder, 'begun')) ? readFileSync(join(folder, 'begun'), 'utf8').split('\n').length - 1 : 0

  /** A program in the interpreter's place: `python -W ignore SCRIPT REQUEST RESULT`. */
  function standIn(what: string): string {
    const path = join(folder, 'python')
    const output = `output=$(sed 's/.*"output":"\\([^"]*\\)".*/\\1/' "$4")`
    writeFileSync(path, `#!/bin/sh\necho $$ >> ${folder}/begun\n${output}\n${what}\n`)
    chmodSync(path, 0o755)
    return path
  }
  const converts = `cp -r ${converted} "$output"; printf '{"ok": true, "record": %s}' "$(cat ${converted}/modelwright-conversion.json)" > "$5"`
  const refuses = `printf '{"ok": false, "kind": "parity", "message": "row 3: 0.25 is 0.75."}' > "$5"`

  const conversions = (what: string, other: Partial<VersionConversionsParts> = {}) =>
    new VersionConversions({
      root: root(),
      store: new VersionConversionsStore(db),
      clock,
      log: { error: (_, message) => told.push(message) },
      limitMs,
      layOutData: async () => [],
      converterPython: async () => standIn(what),
      ...other,
    })
  const manifest = { environmentLock: digestOf('lock'), project: 'p', commit: 'c' as CommitId, data: {} }
  const version = () => ({ digest, manifest, modelPath: join(folder, 'model') })
  const never = new AbortController().signal
  const fact = async () => (await new VersionConversionsStore(db).find(digest))?.fact

  it('is made once, with what was proved on record, and found again by the next server', async () => {
    const graph = await conversions(converts).graphOf(version(), never)
    expect(readFileSync(join(graph!, 'model.onnx')).equals(readFileSync(join(converted, 'model.onnx')))).toBe(true)
    expect(await fact()).toMatchObject({
      outcome: 'converted',
      proof: { rows: 5, rowsFrom: 'input example', tolerance: 1e-5, versions: { skl2onnx: '1.20.0' } },
    })
    expect(conversionText((await fact())!)).toMatch(
      /^ONNX; parity on 5 rows of its input example, largest difference 4\.2e-8 \(at most 0\.00001\), by /,
    )
    expect(await conversions('exit 1').graphOf(version(), never)).toBe(graph)
    expect(begun()).toBe(1)
  })

  it('is proved on the data that the version was made of, too, and says on how many rows; nothing of that stays', async () => {
    const record = JSON.parse(readFileSync(join(converted, 'modelwright-conversion.json'), 'utf8')) as object
    const says = JSON.stringify({ ...record, dataRows: 3 })
    const isAsked = `grep -q '"data":\\["[^"]*/data-0.csv"\\]' "$4" && grep -q 4,5 "$(dirname "$4")/data-0.csv"`
    const what = `${isAsked} || exit 1; cp -r ${converted} "$output"; printf '{"ok": true, "record": %s}' '${says}' > "$5"`
    const layOutData: VersionConversionsParts['layOutData'] = async ({ data }, scratch) => {
      expect(data).toEqual({ rows: digestOf('rows') })
      writeFileSync(join(scratch, 'data-0.csv'), 'a,b\n4,5\n')
      return [join(scratch, 'data-0.csv')]
    }
    const of = { ...version(), manifest: { ...manifest, data: { rows: digestOf('rows') } } }
    expect(await conversions(what, { layOutData }).graphOf(of, never)).toBeDefined()
    expect(conversionText((await fact())!)).toMatch(/^ONNX; parity on 5 rows of its input example, 3 of its data/)
    expect(readdirSync(root(), { recursive: true }).filter((name) => String(name).endsWith('.csv'))).toEqual([])
  })

  it('is made again where somebody altered what was proved', async () => {
    const graph = (await conversions(converts).graphOf(version(), never))!
    writeFileSync(join(graph, 'model.onnx'), 'other bytes')
    const again = (await conversions(converts).graphOf(version(), never))!
    expect(readFileSync(join(again, 'model.onnx'), 'utf8')).not.toBe('other bytes')
    expect(begun()).toBe(2)
  })

  it('is not there where both answer otherwise; the reason is on record and it is not tried again', async () => {
    expect(await conversions(refuses).graphOf(version(), never)).toBeUndefined()
    expect(await fact()).toMatchObject({ outcome: 'refused', reason: expect.stringContaining('row 3: 0.25 is 0.75.') })
    expect(await conversions(converts).graphOf(version(), never)).toBeUndefined()
    expect(begun()).toBe(1)
  })

  it('is not tried for a flavour that has no converter, nor without an environment to put one into', async () => {
    saveModel('pytorch')
    expect(await conversions(converts).graphOf(version(), never)).toBeUndefined()
    expect(await fact()).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining('its flavour is pytorch'),
    })
    saveModel('sklearn')
    const bare = {
      ...version(),
      digest: digestOf('another'),
      manifest: { ...manifest, environmentLock: 'none' as const },
    }
    expect(await conversions(converts).graphOf(bare, never)).toBeUndefined()
    expect(begun()).toBe(0)
  })

  it('is tried again by the next server where the converter died, or its packages could not be had', async () => {
    expect(await conversions('echo no memory >&2; exit 137').graphOf(version(), never)).toBeUndefined()
    expect(await fact()).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('no memory') })
    const offline = async () => {
      throw new AppError('EnvironmentFailed', 'onnx is not to be had.', 'See the network.')
    }
    expect(await conversions(converts, { converterPython: offline }).graphOf(version(), never)).toBeUndefined()
    expect(await fact()).toMatchObject({ outcome: 'failed', reason: 'onnx is not to be had. See the network.' })
    expect(await conversions(converts).graphOf(version(), never)).toBeDefined()
    expect(await fact()).toMatchObject({ outcome: 'converted' })
  })

  it('is given up when it takes longer than it may: the converter ends, and nothing of it stays', async () => {
    const made = conversions('sleep 60').graphOf(version(), never)
    await until(() => begun() === 1)
    await clock.turn(limitMs - 1)
    expect(isAlive(pid())).toBe(true)
    await clock.turn(1)
    expect(await made).toBeUndefined()
    expect(isAlive(pid())).toBe(false)
    expect(await fact()).toMatchObject({ outcome: 'failed', reason: 'It took longer than 5 m 0 s (--convert-limit).' })
    expect(readdirSync(root())).toEqual([])
  })

  it('ends with the server that stops, and is made by the next one', async () => {
    const stopping = new AbortController()
    const made = conversions('sleep 60').graphOf(version(), stopping.signal)
    await until(() => begun() === 1)
    stopping.abort()
    await expect(made).rejects.toThrow()
    expect(isAlive(pid())).toBe(false)
    expect(await fact()).toBeUndefined()
    expect(await conversions(converts).graphOf(version(), never)).toBeDefined()
  })

  it('counts only once its proof is on record: a server that died before makes it again', async () => {
    const dying = new VersionConversionsStore(db)
    dying.save = () => Promise.reject(new Error('killed'))
    expect(await conversions(converts, { store: dying }).graphOf(version(), never)).toBeUndefined()
    expect(told).toEqual(['the version could not be looked into for conversion'])
    // As a converter leaves it that is killed while it writes.
    cpSync(converted, join(root(), '.making-x', 'model'), { recursive: true })
    expect(await conversions(converts).graphOf(version(), never)).toBeDefined()
    expect(begun()).toBe(2)
  })

  const pid = () => Number(readFileSync(join(folder, 'begun'), 'utf8').trim().split('\n').at(-1))
})

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error('It did not come about.')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function isAlive(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] !== 'Z'
  } catch {
    return false
  }
}
