// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${params.x} is a word of modelwright.yaml
import { chmodSync, renameSync, rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { getExecution } from '../../src/executions/executions-contract.ts'
import type { OutputOf } from '../../src/kernel/route.ts'
import { terminal } from '../cli/terminal.ts'
import { freePort } from '../support/free-ports.ts'

// For each thing that can change: whether the step runs again, and what it says. Each change is made on top of the one before it;
// docs/cache.md shows the table beside what others do.

type Pipeline = {
  run: string
  deps: string
  depth: number
  unused: number
  seed: number
  theirs: number
  env: string
  more: string
  python: string
}

const first: Pipeline = {
  run: 'python3 src/train.py --depth ${params.depth} > out.txt',
  deps: 'src/train.py, "data:rows"',
  depth: 3,
  unused: 1,
  seed: 7,
  theirs: 1,
  env: '[STALENESS_DECLARED]',
  more: '',
  python: '',
}

const yaml = (p: Pipeline) => `project: demo
${p.python}data: { rows: { path: rows.csv } }
steps:
  train:
    run: ${p.run}
    deps: [${p.deps}]
    outs: [out.txt]
    params: { depth: ${p.depth}, unused: ${p.unused} }
    env: ${p.env}
    seed: ${p.seed}
${p.more}  other: { run: 'echo \${params.theirs} > other.txt', outs: [other.txt], params: { theirs: ${p.theirs} } }
`

const helped = (module: string) => `from ${module} import number\n\ndef value():\n    return number\n`

let at: Awaited<ReturnType<typeof terminal>>
let url: string
let pipeline = first

beforeAll(async () => {
  at = await terminal({
    'modelwright.yaml': yaml(first),
    'rows.csv': 'a\n1\n',
    'README.md': 'Rows.\n',
    'src/train.py': 'import utils\nprint(utils.value())\n',
    'src/utils.py': helped('pkg.helper'),
    'src/pkg/helper.py': 'number = 1\n',
    'src/pkg/neighbour.py': 'other = 1\n',
  })
  // It is started again on it.
  const port = String(await freePort())
  url = await at.startServer({ STALENESS_DECLARED: 'one', STALENESS_UNDECLARED: 'one' }, port)
  expect(await at.mw(['init'])).toMatchObject({ code: 0 })
  expect(await pushed()).toMatchObject({ state: 'succeeded', decision: { reasons: ['first time'] } })
})
afterAll(() => at.close())

type Node = OutputOf<typeof getExecution>['nodes'][number]

let pushes = 0

/** Commits what is there, pushes it, and gives what became of `train`. A push of nothing at all would start no execution. */
async function pushed(): Promise<Node> {
  at.write('pushes.txt', `${++pushes}\n`)
  at.git('add', '-A')
  at.git('commit', '-q', '-m', 'a change')
  at.git('push', '-q', 'modelwright', 'main')
  const commit = at.git('rev-parse', 'HEAD').trim()
  for (;;) {
    const { items } = (await asked(`executions?commit=${commit}`)) as { items: { id: string; endedAt?: number }[] }
    if (items[0]?.endedAt) {
      const execution = (await asked(`executions/${items[0].id}`)) as OutputOf<typeof getExecution>
      return execution.nodes.find(({ id }) => id === 'train')!
    }
    await sleep(30)
  }
}

const asked = async (path: string): Promise<unknown> => (await fetch(`${url}/api/v1/${path}`)).json()

const change = (changes: Partial<Pipeline>) => () => {
  pipeline = { ...pipeline, ...changes }
  at.write('modelwright.yaml', yaml(pipeline))
}

const restart = (variables: Record<string, string>) => async () => {
  await at.stopServer()
  url = await at.startServer(variables, new URL(url).port)
}

const file = (path: string) => join(at.repository, path)
const unchanged = [/^nothing that it takes has changed$/]

const changes: [what: string, make: () => void | Promise<void>, says: RegExp[]][] = [
  ['nothing', () => undefined, unchanged],
  [
    'a helper module two imports away',
    () => at.write('src/pkg/helper.py', 'number = 2\n'),
    [/^src\/pkg\/helper\.py changed \([0-9a-f]{12} → [0-9a-f]{12}\), imported by src\/utils\.py$/],
  ],
  ['a module beside it that nobody imports', () => at.write('src/pkg/neighbour.py', 'other = 2\n'), unchanged],
  ['a file that is not declared', () => at.write('README.md', 'Other rows.\n'), unchanged],
  [
    'a declared file',
    () => at.write('src/train.py', 'import utils\nprint(0 + utils.value())\n'),
    [/^src\/train\.py changed \(/],
  ],
  ['the data', () => at.write('rows.csv', 'a\n2\n'), [/^rows\.csv changed \(/]],
  ["a declared file's mode", () => chmodSync(file('src/train.py'), 0o755), [/^src\/train\.py is executable now$/]],
  [
    'the name of a file',
    () => {
      renameSync(file('src/pkg/helper.py'), file('src/pkg/helped.py'))
      at.write('src/utils.py', helped('pkg.helped'))
    },
    [
      /^src\/pkg\/helper\.py renamed to src\/pkg\/helped\.py$/,
      /^src\/utils\.py changed .*, imported by src\/train\.py$/,
    ],
  ],
  ['a time stamp', () => utimesSync(file('src/train.py'), 1_700_000_000, 1_700_000_000), unchanged],
  ['a parameter of the step', change({ depth: 4 }), [/^depth: 3 → 4$/]],
  // It is declared: the step finds it in MODELWRIGHT_PARAMS, and nobody can tell that it does not look.
  ['a parameter that the step declares and does not use', change({ unused: 2 }), [/^unused: 1 → 2$/]],
  ['a parameter of another step', change({ theirs: 2 }), unchanged],
  ['the seed', change({ seed: 8 }), [/^seed: 7 → 8$/]],
  ['the command', change({ run: `${first.run} 2>&1` }), [/^command changed$/]],
  [
    'blanks around and between the words of the command, and its lines',
    change({ run: `|\n      python3  src/train.py \\\n        --depth \${params.depth}   > out.txt 2>&1\n` }),
    unchanged,
  ],
  [
    'an out',
    change({ more: '    metrics: m.json\n', run: `${first.run}; echo '{"a":1}' > m.json` }),
    [/^command changed$/, /^metrics: false → m\.json$/],
  ],
  ['how often it is tried again', change({ more: '    metrics: m.json\n    retries: 2\n' }), unchanged],
  [
    'that it depends on the platform',
    change({ more: '    metrics: m.json\n    platform: true\n' }),
    [/^platform: any → \w+-\w+$/],
  ],
  [
    'a declared environment variable',
    restart({ STALENESS_DECLARED: 'two', STALENESS_UNDECLARED: 'one' }),
    [/^variable STALENESS_DECLARED changed$/],
  ],
  [
    'an environment variable that is not declared',
    restart({ STALENESS_DECLARED: 'two', STALENESS_UNDECLARED: 'two' }),
    unchanged,
  ],
  ['which variables are declared', change({ env: '[]' }), [/^variable STALENESS_DECLARED no longer declared$/]],
  [
    'the Python environment',
    () => {
      at.write('requirements.txt', 'iniconfig==2.0.0\n')
      change({ python: 'python: { requirements: requirements.txt }\n' })()
    },
    [/^a Python environment was declared$/],
  ],
  [
    'a package of the lock',
    () => at.write('requirements.txt', 'iniconfig==2.1.0\n'),
    [/^iniconfig 2\.0\.0 → 2\.1\.0$/],
  ],
  [
    'the text of the requirements, not what they lock',
    () => at.write('requirements.txt', '# pinned\niniconfig == 2.1.0\n'),
    unchanged,
  ],
  [
    'what is installed in place',
    () => {
      at.write('requirements.txt', '-e .\niniconfig==2.1.0\n')
      at.write('pyproject.toml', '[project]\nname = "churn"\nversion = "1"\ndependencies = ["six==1.16.0"]\n')
      at.write('src/churn/__init__.py', '')
      at.write('src/churn/model.py', 'import six\nvalue = 1\n')
      at.write('src/churn/web.py', 'page = 1\n')
      at.write('scripts/score.py', 'from churn import model\nprint(model.value)\n')
      change({ run: `python scripts/score.py > out.txt; echo '{"a":1}' > m.json`, deps: '"data:rows"' })()
    },
    [
      /^command changed$/,
      /^scripts\/score\.py added, which the command starts$/,
      /^src\/churn\/__init__\.py added, imported by scripts\/score\.py$/,
      /^src\/churn\/model\.py added, imported by scripts\/score\.py$/,
      /^src\/pkg\/helped\.py removed, which src\/utils\.py imported$/,
      /^src\/train\.py removed$/,
      /^src\/utils\.py removed, which src\/train\.py imported$/,
      /^six 1\.16\.0 added$/,
      /^python path: none → src$/,
    ],
  ],
  [
    'a module of a package that is installed in place',
    () => at.write('src/churn/model.py', 'import six\nvalue = 2\n'),
    [/^src\/churn\/model\.py changed .*, imported by scripts\/score\.py$/],
  ],
  ['a module of it that nobody imports', () => at.write('src/churn/web.py', 'page = 2\n'), unchanged],
  [
    'whether it is isolated',
    change({ more: '    metrics: m.json\n    platform: true\n    isolated: false\n' }),
    [/^it was isolated before$/, /^not isolated: it sees the whole checkout$/],
  ],
  [
    'anything at all, where it is not isolated',
    () => at.write('README.md', 'Yet other rows.\n'),
    [/^another commit \([0-9a-f]{12} → [0-9a-f]{12}\)$/, /^not isolated/],
  ],
]

it.each(changes)('%s', async (_, make, says) => {
  await make()
  const { state, decision } = await pushed()
  expect(decision?.reasons).toEqual(says.map((pattern) => expect.stringMatching(pattern)))
  expect(state).toBe(says === unchanged ? 'reused' : 'succeeded')
})

it('is explained by a command, against the nearest result or the execution that is named', async () => {
  const { out } = await at.mw(['explain', 'train', '--at', 'HEAD'])
  expect(out).toMatch(/^train at [0-9a-f]{12}: reused\n {2}nothing that it takes has changed\n/)
  expect(out).toMatch(/^from execution [0-9a-f-]{36} of commit [0-9a-f]{12}, \d{4}-/m)
  expect(out).toMatch(/^it ran there because \(since [0-9a-f]{8} at [0-9a-f]{8}\)\n {2}another commit/m)
  expect(out).toMatch(/^ {2}file +src\/churn\/model\.py {2}[0-9a-f]{12} {2}imported by scripts\/score\.py$/m)
  expect(out).toMatch(/^ {2}environment +Python 3\.\d+\.\d+, lock [0-9a-f]{12}$/m)
  const told = await at.json('explain', 'train', '--against', 'latest~29')
  expect(told).toMatchObject({ outcome: 'reused', against: { executionId: expect.any(String) } })
  expect(told.changes).toContainEqual({
    part: 'parameter',
    name: 'depth',
    before: '3',
    after: '4',
    text: 'depth: 3 → 4',
  })
  const set = await at.json('explain', 'train', '--set', 'depth=9')
  expect(set.changes).toEqual([{ part: 'parameter', name: 'depth', before: '4', after: '9', text: 'depth: 4 → 9' }])
  expect((await at.mw(['explain', 'trian'])).err).toContain('train')
})

it('runs again, and says so, where the output of a kept result is gone', async () => {
  rmSync(join(at.dataDir, 'objects'), { recursive: true, force: true })
  const { state, decision } = await pushed()
  expect(state).toBe('succeeded')
  expect(decision?.reasons).toEqual(expect.arrayContaining([expect.stringMatching(/another commit/)]))
})
