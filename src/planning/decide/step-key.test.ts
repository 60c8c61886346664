import { describe, expect, it } from 'vitest'
import { type Digest, digestOf } from '../../kernel/digest.ts'
import type { CommitId, RunId } from '../../kernel/ids.ts'
import { parseProjectFile } from '../../projects/index.ts'
import type { NodeOutcome, PlanContext, SourceFile } from '../plan.ts'
import { PathIndex } from './path-index.ts'
import { type KeyFacts, keyOf, keyPartsOf, refuseMissingDependencies } from './step-key.ts'
import { whyItRuns } from './why-it-runs.ts'

const text = (steps: string) =>
  `project: demo\ndata: { rows: { path: rows.csv, checks: [{ rows: ">= 3" }] } }\nsteps:\n${steps}`
const twoSteps = text(
  '  a: { run: "cat src/x.py > mid.txt", deps: [src/], outs: [mid.txt] }\n  b: { run: "run ${params.n}", deps: [mid.txt, "data:rows"], params: { n: 3 }, seed: 7, env: [MODE] }\n',
)

const source = (content: string, executable = false): SourceFile => ({
  digest: digestOf(content),
  size: content.length,
  executable,
})

type Change = {
  yaml?: string
  node?: string
  files?: Record<string, SourceFile>
  out?: Digest
  set?: PlanContext['set']
  data?: Digest
  variable?: Digest | 'unset'
  environment?: Digest
  executionId?: string
  imported?: Record<string, string>
}

function facts(change: Change = {}): KeyFacts {
  const files = change.files ?? { 'src/x.py': source('x'), 'src/lib/y.py': source('y'), 'README.md': source('r') }
  const outcomes = new Map<string, NodeOutcome>([
    ['a', { result: { runId: 'r' as RunId, outs: { 'mid.txt': change.out ?? digestOf('mid') }, metrics: {} } }],
  ])
  if (change.environment) outcomes.set('environment', { environment: change.environment })
  const file = parseProjectFile(change.yaml ?? twoSteps)
  return {
    context: {
      project: 'demo',
      commit: 'c' as CommitId,
      file,
      set: change.set ?? {},
      data: { rows: { dataset: 'rows', path: 'rows.csv', digest: change.data ?? digestOf('rows'), size: 1 } },
      champions: {},
      executionId: change.executionId ?? 'e1',
      facts: { trigger: 'push', branch: 'main' },
    },
    node: { id: change.node ?? 'b', kind: 'step', step: change.node ?? 'b', after: [] },
    paths: new PathIndex(Object.keys(files).sort()),
    source: (path) => files[path],
    outcomes,
    variables: change.node === 'a' ? {} : { MODE: change.variable ?? 'unset' },
    imported: new Map(Object.entries(change.imported ?? {})),
    paramFiles: new Map(),
    packageFolders: [],
    platform: 'linux-x64',
  }
}

const key = (change?: Change) => keyOf(keyPartsOf(facts(change)))

describe("a step's key", () => {
  it('is the same for the same facts', () => {
    expect(key()).toBe(key())
  })

  it.each<[string, Change]>([
    ['an output that it takes', { out: digestOf('other') }],
    ['its data', { data: digestOf('other rows') }],
    ['a parameter that is set', { set: { n: 4 } }],
    ['a declared environment variable', { variable: digestOf('fast') }],
    ['the environment', { environment: digestOf('lock') }],
    ['its seed', { yaml: twoSteps.replace('seed: 7', 'seed: 8') }],
    ['its command', { yaml: twoSteps.replace('run ${', 'walk ${') }],
    ['the checks before it', { yaml: twoSteps.replace('>= 3', '>= 4') }],
    ['what it writes', { yaml: twoSteps.replace('params: { n: 3 }', 'params: { n: 3 }, outs: [o]') }],
  ])('changes with %s', (_, change) => {
    expect(key(change)).not.toBe(key())
  })

  it('changes with the content, the name or the executable bit of a file in a declared folder, and with no other file', () => {
    const at = (files: Record<string, SourceFile>) => key({ node: 'a', files })
    const base = { 'src/x.py': source('x'), 'README.md': source('r') }
    const before = at(base)
    expect(at({ ...base, 'src/x.py': source('x2') })).not.toBe(before)
    expect(at({ ...base, 'src/x.py': source('x', true) })).not.toBe(before)
    expect(at({ ...base, 'src/new.py': source('') })).not.toBe(before)
    expect(at({ 'src/z.py': source('x'), 'README.md': source('r') })).not.toBe(before)
    expect(at({ ...base, 'README.md': source('r2') })).toBe(before)
  })

  it('of a step that always runs is another in each execution', () => {
    const yaml = twoSteps.replace('seed: 7', 'always: true')
    expect(key({ yaml, executionId: 'e1' })).not.toBe(key({ yaml, executionId: 'e2' }))
  })

  it('cannot be made of a dependency that names nothing; the nearest path is named', () => {
    const yaml = text('  a: { run: "true", deps: [src/x.pz] }\n')
    expect(() => key({ yaml, node: 'a' })).toThrow(/depends on "src\/x.pz"/)
    expect(() => key({ yaml, node: 'a' })).toThrow(
      expect.objectContaining({ code: 'DependencyMissing', next: expect.stringContaining('src/x.py') }),
    )
  })
})

describe('why a step runs', () => {
  const parts = (change?: Change) => keyPartsOf(facts(change))

  it.each<[string, Change, RegExp]>([
    ['a file', { out: digestOf('other') }, /^mid\.txt changed \([0-9a-f]{12} → [0-9a-f]{12}\)$/],
    ['a parameter, and not the command that holds it', { set: { n: 4 } }, /^n: 3 → 4$/],
    ['a variable, without its value', { variable: digestOf('secret') }, /^variable MODE is set now$/],
    ['the seed', { yaml: twoSteps.replace('seed: 7', 'seed: 8') }, /^seed: 7 → 8$/],
  ])('names %s', (_, change, expected) => {
    const reasons = whyItRuns(parts(change), parts())
    expect(reasons).toHaveLength(1)
    expect(reasons[0]).toMatch(expected)
  })

  it('is "first time" without an earlier result, and never empty', () => {
    expect(whyItRuns(parts(), undefined)).toEqual(['first time'])
    expect(whyItRuns(parts(), parts())).toEqual(['its earlier result is no longer whole'])
  })
})

describe('dependencies of a commit', () => {
  const file = parseProjectFile(twoSteps)

  it('are refused before anything runs where nothing has them, also behind steps that are decided later', () => {
    const behind = parseProjectFile(twoSteps.replace('deps: [mid.txt,', 'deps: [mid.txt, gone.py,'))
    expect(() => refuseMissingDependencies(behind, new PathIndex(['rows.csv', 'src/x.py']))).toThrow(
      /Step "b" depends on "gone.py"/,
    )
  })

  it('hold its notebook too', () => {
    const noted = parseProjectFile('project: p\nsteps:\n  a: { notebook: explore.ipynb }\n')
    expect(() => refuseMissingDependencies(noted, new PathIndex(['explore.ipnb']))).toThrow(
      /depends on "explore.ipynb"/,
    )
    expect(() => refuseMissingDependencies(noted, new PathIndex(['explore.ipynb']))).not.toThrow()
  })

  it('are there where the commit has them or another step writes them', () => {
    expect(() => refuseMissingDependencies(file, new PathIndex(['rows.csv', 'src/x.py']))).not.toThrow()
    expect(() => refuseMissingDependencies(file, new PathIndex(['rows.csv']))).toThrow(/Step "a" depends on "src"/)
  })
})
