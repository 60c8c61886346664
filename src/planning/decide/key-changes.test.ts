import { describe, expect, it } from 'vitest'
import { digestOf } from '../../kernel/digest.ts'
import type { CommitId } from '../../kernel/ids.ts'
import type { EnvironmentLock } from '../../ports/environments.ts'
import type { KeyParts } from '../plan.ts'
import { keyChanges } from './key-changes.ts'

const base: KeyParts = {
  command: "python a.py --n '1'",
  files: { 'a.py': digestOf('a'), 'b.py': digestOf('b'), 'old.txt': digestOf('same') },
  trees: [],
  params: { n: 1 },
  seed: 0,
  environment: digestOf('lock'),
  variables: { MODE: digestOf('one') },
  outs: ['o'],
  metrics: false,
  checks: {},
  told: { template: 'python a.py --n ${params.n}', imported: { 'b.py': 'a.py' } },
}
const { 'old.txt': same, ...others } = base.files

const texts = (change: Partial<KeyParts>, before: KeyParts = base) =>
  keyChanges({ ...base, ...change }, before).map(({ text }) => text)

it.each<[string, Partial<KeyParts>, (string | RegExp)[]]>([
  ['nothing', {}, []],
  ['a parameter that the command holds', { params: { n: 2 }, command: "python a.py --n '2'" }, ['n: 1 → 2']],
  [
    'a parameter and the command around it',
    {
      params: { n: 2 },
      command: "python a.py -v --n '2'",
      told: { ...base.told!, template: 'python a.py -v --n ${params.n}' },
    },
    ['command changed', 'n: 1 → 2'],
  ],
  [
    'data of an address',
    { files: { ...base.files, '.modelwright/data/rows/b.csv': digestOf('new') } },
    ['data rows added'],
  ],
  ['a renamed file', { files: { ...others, 'new.txt': same! } }, ['old.txt renamed to new.txt']],
  [
    'a file that was executable',
    { files: { ...base.files, 'a.py': `${digestOf('a')} executable` } },
    ['a.py is executable now'],
  ],
  [
    'an imported module',
    { files: { ...base.files, 'b.py': digestOf('b2') } },
    [/^b\.py changed \(\w{12} → \w{12}\), imported by a\.py$/],
  ],
  [
    'a module that is no longer imported',
    { files: { 'a.py': base.files['a.py']!, 'old.txt': same! } },
    ['b.py removed, which a.py imported'],
  ],
  ['a variable that is unset', { variables: { MODE: 'unset' } }, ['variable MODE is unset now']],
  ['a variable that is declared', { variables: { ...base.variables, NEW: 'unset' } }, ['variable NEW declared']],
  ['outputs', { outs: ['o', 'p'] }, ['outs: o → o, p']],
  ['a model that is logged', { model: 'm' }, ['model: none → m']],
  ['the platform', { platform: 'linux-arm64' }, ['platform: any → linux-arm64']],
  ['the share of the rows', { sample: 0.05 }, ['sample: all rows → 5%']],
  ['a step that always runs', { once: 'e1' }, ['always']],
  ['a step that is not isolated', { checkout: 'c'.repeat(40) as CommitId }, ['it was isolated before']],
])('tells of %s', (_, change, expected) => {
  expect(texts(change)).toEqual(expected.map((one) => (typeof one === 'string' ? one : expect.stringMatching(one))))
})

it('compares with a result of before commands were kept as templates', () => {
  const { told: _, ...older } = base
  expect(texts({ params: { n: 2 }, command: "python a.py --n '2'" }, older)).toEqual(['n: 1 → 2'])
})

it('tells of a file of parameters by the parameters that changed in it, and of others by the file', () => {
  const told = { template: base.told!.template, imported: {}, narrowed: ['params.yaml'] }
  const before = { ...base, told, files: { 'params.yaml': digestOf('1') } }
  const changed = { told, files: { 'params.yaml': digestOf('2') } }
  expect(texts({ ...changed, params: { n: 2 }, command: "python a.py --n '2'" }, before)).toEqual(['n: 1 → 2'])
  expect(texts(changed, before)).toEqual([expect.stringMatching(/^params\.yaml changed/)])
})

describe('a change of the lock', () => {
  const lock = (pythonVersion: string, ...requirements: string[]): EnvironmentLock => ({
    digest: digestOf(`${pythonVersion} ${requirements}`),
    pythonVersion,
    requirements: requirements.map((line) => `${line} \\\n    --hash=sha256:${'1'.repeat(64)}\n`).join(''),
  })
  const before = lock('3.11.2', 'scikit-learn==1.5.0', 'six==1.16.0', 'gone==1')
  const told = (now: EnvironmentLock) =>
    keyChanges({ ...base, environment: now.digest }, { ...base, environment: before.digest }, { now, before }).map(
      ({ text }) => text,
    )

  it.each<[string, EnvironmentLock, string[]]>([
    [
      'each package',
      lock('3.11.2', 'Scikit_Learn==1.5.1', 'six==1.16.0', 'new==2'),
      ['gone 1 removed', 'new 2 added', 'scikit-learn 1.5.0 → 1.5.1'],
    ],
    [
      'the version of Python',
      lock('3.12.1', 'scikit-learn==1.5.0', 'six==1.16.0', 'gone==1'),
      ['Python 3.11.2 → 3.12.1'],
    ],
    [
      'other files of the same version',
      { ...before, digest: digestOf('x'), requirements: before.requirements.replace('1'.repeat(64), '2'.repeat(64)) },
      ['scikit-learn 1.5.0: other files'],
    ],
  ])('names %s', (_, now, expected) => {
    expect(told(now)).toEqual(expected)
  })

  it('is told as such where a lock is no longer known', () => {
    expect(texts({ environment: digestOf('other') })).toEqual(['environment changed'])
    expect(texts({ environment: 'none' })).toEqual(['no Python environment is declared any more'])
  })
})
