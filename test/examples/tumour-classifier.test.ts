import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { exampleFolder } from '../../src/demo/example-repository.ts'
import { commits, environment, project } from '../../src/demo/story.ts'
import { hashShare } from '../../src/math/hash-share.ts'
import { parseProjectFile } from '../../src/projects/index.ts'
import { testPython } from '../support/python.ts'

const file = () => parseProjectFile(readFileSync(join(exampleFolder(), 'modelwright.yaml'), 'utf8'), 'modelwright.yaml')

describe("the example's modelwright.yaml", () => {
  it('is valid, and is the project that the demo tells of', () => {
    expect(file()).toMatchObject({ project, branch: 'main' })
    expect(Object.keys(file().deployments)).toEqual([environment])
  })

  it("depends on files that are there, or that one of its steps writes, or that the example's script writes", () => {
    const { steps, data } = file()
    const written = Object.values(steps).flatMap((step) => step.outs)
    const paths = Object.values(steps).flatMap(({ deps }) => deps.flatMap((dep) => ('path' in dep ? [dep.path] : [])))
    const absent = paths.filter((path) => !written.includes(path) && !existsSync(join(exampleFolder(), path)))
    expect(absent).toEqual([])
    expect(Object.values(data).map(({ path }) => path)).toEqual(['data/biopsies.csv'])
  })

  it('begins with the parameters of the first commit, on one line that the demo can change', () => {
    expect(file().steps.train!.params).toEqual(commits.first.params)
    expect(readFileSync(join(exampleFolder(), 'modelwright.yaml'), 'utf8')).toMatch(
      /^ +params: \{ trees: \d+, depth: \d+ \}$/m,
    )
  })

  it('goes out by canary, watches drift, and retrains on what production saw', () => {
    const { deployments, data } = file()
    expect(deployments[environment]).toMatchObject({
      rollout: { canary: [0.1, 0.5, 1], everyMs: 3000 },
      retrain: { on: [{ kind: 'drift' }] },
    })
    expect(data.biopsies!.plus).toEqual({ predictions: environment, labelled: true })
  })
})

const python = testPython()

describe.skipIf(!python)("the example's data, by its own scripts", () => {
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-example-'))
  const run = (...words: string[]) => execFileSync(python!, words, { cwd: folder, env: { PATH: process.env.PATH } })
  const rowsOf = (path: string) =>
    parse(readFileSync(join(folder, path), 'utf8'), { columns: true }) as Record<string, string>[]
  const keysOf = (path: string) => rowsOf(path).map((row) => row.sample_id!)

  beforeAll(() => {
    cpSync(exampleFolder(), folder, { recursive: true })
    run('make_data.py', '--production', 'production')
    run('src/prepare.py')
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('serves no row that it trains on, and only smooth ones are known at first', () => {
    const known = rowsOf('data/biopsies.csv')
    const later = ['usual', 'coarse', 'mixed'].flatMap((name) => keysOf(`production/${name}.csv`))
    expect(known.filter((row) => later.includes(row.sample_id!))).toEqual([])
    expect(known.filter((row) => Number(row.mean_texture) > 18.5)).toEqual([])
    expect(rowsOf('production/coarse.csv').filter((row) => Number(row.mean_texture) <= 18.5)).toEqual([])
  })

  it('uses each of the 569 biopsies', () => {
    const all = ['data/biopsies.csv', 'production/usual.csv', 'production/coarse.csv', 'production/mixed.csv']
    expect(new Set(all.flatMap(keysOf)).size).toBe(569)
  })

  it('holds out exactly the rows whose share Modelwright computes below 30 %', () => {
    const held = keysOf('data/biopsies.csv').filter((key) => hashShare(key) < 0.3)
    expect(keysOf('work/test.csv')).toEqual(held)
    expect(held.length).toBeGreaterThan(20)
  })
})
