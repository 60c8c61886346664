import { glob as globFiles, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { OutputOf } from '../../src/kernel/route.ts'
import { listVersions, whyVersion } from '../../src/lineage/lineage-contract.ts'
import { type getReproduction, listReproductions } from '../../src/reproductions/reproductions-contract.ts'
import { killAndAwait } from '../crash/support/kill.ts'
import { testPython } from '../support/python.ts'
import { Family } from './support/family.ts'
import { type faults, mixtureProject } from './support/mixture.ts'
import { Project } from './support/project.ts'
import { prepareEnvironment } from './support/sorter.ts'

type Reproduction = OutputOf<typeof getReproduction>

const python = testPython()

describe.skipIf(!python)('making a model again', () => {
  let family: Family
  let project: Project
  beforeAll(async () => {
    family = await Family.start(['--slots', '2'])
    await prepareEnvironment(family)
    project = await Project.connect(family, 'mixture', mixtureProject('mixture', 'none'))
  })
  afterAll(() => family?.stop())

  /** Pushes what makes the next version, and gives its number. */
  async function version(fault: keyof typeof faults, options: { example?: boolean } = {}): Promise<number> {
    await project.pull().catch(() => undefined)
    const files = mixtureProject('mixture', fault, options)
    const { 'modelwright.yaml': _, ...others } = files
    const first = (await project.remoteHead()) === undefined
    const before = first ? 0 : (await list()).length
    const execution = await project.succeeded((await project.push(fault, first ? files : others)).commit)
    await project.verdict(execution.id)
    await project.eventually(`version ${before + 1} is there`, async () => (await list()).length > before)
    await project.serves(before + 1)
    return before + 1
  }

  const list = async () => (await family.client(listVersions, { params: { project: 'mixture' }, query: {} })).items

  async function reproduce(...words: string[]): Promise<{ code: number; made: Reproduction }> {
    const { code, out, err } = await family.cli(project.folder, 'reproduce', ...words, '--json')
    expect(err).toBe('')
    return { code, made: JSON.parse(out) as Reproduction }
  }

  it('makes it again bit for bit, and keeps the verdict with the version', async () => {
    const number = await version('none')
    const versionsBefore = (await list()).length
    const { code, made } = await reproduce(`mixture-sorter@${number}`, '--runs', '2')
    expect(made, JSON.stringify(made)).toMatchObject({
      state: 'judged',
      comparison: { outcome: 'identical', compared: { steps: 3, models: 1 } },
    })
    expect(code).toBe(0)
    expect(Object.keys(made.passes)).toEqual(['rebuild', 'second rebuild'])

    const [own] = await list()
    expect(own).toMatchObject({ version: number, reproduced: { outcome: 'identical' } })
    expect(own!.reproduced!.text).toMatch(/^reproducible: bit for bit, checked \d{4}-\d\d-\d\d$/)
    const story = await family.client(whyVersion, { params: { digest: own!.digest } })
    expect(story.reproduced?.sentence).toContain('was made again bit for bit')
    // What was made again is no candidate for anything.
    expect(await list()).toHaveLength(versionsBefore)
    const told = await family.cli(project.folder, 'versions')
    expect(told.out).toContain('bit for bit')
  })

  it('leads from the version to what it was made of, and from a row to the version', async () => {
    const cli = async (...words: string[]) => {
      const { code, out, err } = await family.cli(project.folder, ...words)
      expect(code, `${words.join(' ')}: ${out}${err}`).toBe(0)
      return out
    }
    const up = await cli('lineage', 'mixture-sorter@1', '--up', '--depth', '9')
    for (const part of ['src/train.py', 'work/rows.csv', 'src/lay_out.py', 'data fruits', 'lay-out', 'commit '])
      expect(up).toContain(part)
    expect(await cli('lineage', 'src/lay_out.py', '--down')).toContain('production: mixture-sorter v1')
    expect(await cli('lineage', 'row', 'f7', '--data', 'fruits')).toContain('mixture-sorter v1')
    expect(await cli('lineage', 'row', 'f9999', '--data', 'fruits')).toContain('No version of fruits')
    const events = (await cli('lineage', 'fruits', '--openlineage')).trim().split('\n')
    const told = events.map((line) => JSON.parse(line) as { eventType: string; job: { name: string } })
    const namesOf = (type: string) =>
      told.flatMap(({ eventType, job }) => (eventType === type ? [job.name] : [])).sort()
    for (const type of ['START', 'COMPLETE'])
      expect(namesOf(type)).toEqual(['mixture.evaluate', 'mixture.lay-out', 'mixture.train'])
    const answer = await project.predict([{ size: 70, weight: 120 }])
    const chain = await cli('lineage', answer.id, '--up', '--depth', '20')
    expect(chain).toContain('data fruits')

    const bill = JSON.parse(await cli('sbom', 'mixture-sorter@1')) as { components: { name: string; purl?: string }[] }
    expect(bill.components.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['fruits', 'python', 'mlflow', 'psutil']),
    )
    expect(bill.components.find(({ name }) => name === 'mlflow')?.purl).toMatch(/^pkg:pypi\/mlflow@3/)
    const bundle = JSON.parse(await cli('provenance', 'mixture-sorter@1')) as { dsseEnvelope: { payload: string } }
    const statement = Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString()
    expect(JSON.parse(statement)).toMatchObject({ subject: [{ name: 'mixture-sorter@1' }] })
    expect(await cli('provenance', '--public-key')).toMatch(/^-----BEGIN PUBLIC KEY-----/)
  })

  const differsBy = (source: string) => ({
    state: 'judged',
    comparison: { first: { step: 'lay-out', causes: [{ kind: 'random source', source }] } },
  })

  it('names an unseeded shuffle as what makes it another one each time', async () => {
    const { code, made } = await reproduce(`mixture-sorter/${await version('shuffle')}`)
    expect(made, JSON.stringify(made)).toMatchObject(differsBy('random numbers'))
    expect(made.comparison!.outcome).toBe('different')
    expect(made.sentence).toContain('It differs first in lay-out (work/rows.csv): it draws random numbers')
    expect(code).toBe(1)
  })

  it('names a read of the clock, and calls the model equal where its predictions on its input example agree', async () => {
    const { code, made } = await reproduce(`mixture-sorter/${await version('clock', { example: true })}`)
    expect(made, JSON.stringify(made)).toMatchObject(differsBy('clock'))
    const train = made.comparison!.steps.find(({ step }) => step === 'train')
    expect(train?.model).toMatchObject({ same: false, predictions: { compared: true, rows: 2, equal: true } })
    expect(made.comparison!.outcome).toBe('equal within tolerance')
    expect(code).toBe(0)
  })

  it('names the order of a set by its hash seed, also when the server is killed again and again meanwhile', async () => {
    const number = await version('hash seed')
    const reproducing = reproduce(`mixture-sorter/${number}`)
    for (const passes of [1, 3]) {
      await project.eventually(`${passes} executions of it are begun`, async () => {
        const { items } = await family.client(listReproductions, { params: { project: 'mixture' }, query: {} })
        return items[0]?.version === number && Object.keys(items[0].passes).length >= passes
      })
      await killAndAwait(family, 'server')
    }
    const { code, made } = await reproducing
    expect(made, JSON.stringify(made)).toMatchObject(differsBy('hash seed'))
    expect(code).toBe(1)
    expect(Object.keys(made.passes)).toHaveLength(7)
    expect(new Set(Object.values(made.passes)).size).toBe(7)
  })

  it('names a changed input, package or parameter where another commit makes another model', async () => {
    const files = mixtureProject('mixture', 'none')
    await project.git('checkout', '-q', '-b', 'tried', (await list()).length > 0 ? await oldest() : 'main')
    const trials: [string, Record<string, string>, object][] = [
      [
        'other rows',
        { 'data/fruits.csv': `${files['data/fruits.csv']}f900,70.5,120,big\n` },
        { kind: 'input', path: 'data/fruits.csv' },
      ],
      [
        'other package',
        // Without all others, which its steps do not need: an environment is built of it within a moment.
        { 'requirements.txt': 'psutil>=6,<7\n' },
        { kind: 'package', name: 'psutil', was: expect.stringMatching(/^7/), is: expect.stringMatching(/^6/) },
      ],
      [
        'other parameter',
        { 'modelwright.yaml': files['modelwright.yaml']!.replace('shift: 0', 'shift: 2') },
        { kind: 'parameter', name: 'shift', was: 0, is: 2 },
      ],
    ]
    for (const [what, change, cause] of trials) {
      const base = await project.head('HEAD')
      const commit = await project.commit(what, change)
      await pushed('tried')
      await project.ended(commit)
      const { made } = await reproduce('mixture-sorter@1', '--at', commit)
      expect(made.comparison?.first?.causes, JSON.stringify(made)).toContainEqual(expect.objectContaining(cause))
      expect(made).toMatchObject({ fromRecord: false, comparison: { outcome: expect.not.stringMatching('identical') } })
      await project.git('reset', '-q', '--hard', base)
    }
    // What other commits make says nothing of the version.
    expect((await list()).at(-1)!.reproduced).toMatchObject({ outcome: 'identical' })
  })

  it('names the package that somebody changed in the environment by hand', async () => {
    const [metadata] = await glob('psutil-*.dist-info/METADATA')
    const text = await readFile(metadata!, 'utf8')
    // A new file: the old one is shared with uv's cache.
    await rm(metadata!)
    await writeFile(metadata!, text.replace(/^Version: .*$/m, 'Version: 6.6.6'))
    try {
      const { made } = await reproduce('mixture-sorter@1')
      expect(made.comparison?.first, JSON.stringify(made)).toEqual({
        step: 'lay-out',
        causes: [{ kind: 'package', name: 'psutil', was: expect.stringMatching(/^7/), is: '6.6.6' }],
      })
    } finally {
      await writeFile(metadata!, text)
    }
  })

  /** Files of the Python environment that the version was made in. */
  async function glob(path: string): Promise<string[]> {
    const { digest } = (await list()).at(-1)!
    const { environment } = await family.client(whyVersion, { params: { digest } })
    const folder = join(family.dataDir, 'envs')
    const own = (await readdir(folder)).filter(
      (name) => name.startsWith(environment.digest.slice(7, 19)) && !name.includes('.'),
    )
    expect(own, (await readdir(folder)).join()).not.toEqual([])
    const found: string[] = []
    for (const name of own)
      for await (const file of globFiles(`lib/python*/site-packages/${path}`, { cwd: join(folder, name) }))
        found.push(join(folder, name, file))
    return found
  }

  /** The commit that the first version was made from. */
  const oldest = async () => {
    const { digest } = (await list()).at(-1)!
    return (await family.client(whyVersion, { params: { digest } })).commit!.id
  }

  async function pushed(branch: string): Promise<void> {
    const { code, output } = await project.git('push', '-q', '--force', 'modelwright', branch)
    expect(code, output).toBe(0)
  }
})
