import { describe, expect, it } from 'vitest'
import { asDependency, inCommit, outsideInLog, type Tried, triedInLog, undeclaredReads } from './undeclared-reads.ts'

const workspace = '/data/work/e/train/1/workspace'
const commit = new Set([
  'src/train.py',
  'src/utils.py',
  'src/pkg/__init__.py',
  'src/pkg/a.py',
  'lib/ns/m.py',
  'a b.csv',
])
const path = (text: string): Tried => ({ kind: 'path', path: text })
const module_ = (text: string): Tried => ({ kind: 'module', path: text })

const reads = (tried: Tried[], declared: string[] = ['src/train.py', 'out']) =>
  undeclaredReads({ workspace, tried, commit, declared })

describe('what a step looked for and did not declare', () => {
  it.each<[string, Tried[], string[]]>([
    ['a file by its absolute path', [path(`${workspace}/src/utils.py`)], ['src/utils.py']],
    ['a file by a relative path', [path('src/../src/./utils.py')], ['src/utils.py']],
    ['a name with a blank', [path(`${workspace}/a b.csv`)], ['a b.csv']],
    ['a folder', [path(`${workspace}/src/pkg`)], ['src/pkg']],
    ['a module', [module_(`${workspace}/src/utils`)], ['src/utils.py']],
    ['a package', [module_(`${workspace}/src/pkg`)], ['src/pkg']],
    ['a folder of modules', [module_(`${workspace}/lib/ns`)], ['lib/ns']],
    ['the same twice', [path('src/utils.py'), module_(`${workspace}/src/utils`)], ['src/utils.py']],
    ['what the commit has not', [path('nowhere.csv'), module_(`${workspace}/src/numpy`)], []],
    ['what it declared', [path('src/train.py')], []],
    ['what it writes', [path('out/model.pkl')], []],
    ['what lies outside', [path('/src/utils.py'), path('../src/utils.py')], []],
  ])('%s', (_, tried, expected) => {
    expect(reads(tried)).toEqual(expected)
  })
})

describe('what a log complains of', () => {
  it.each([
    ['cat: src/utils.py: No such file or directory', 'src/utils.py'],
    ["FileNotFoundError: [Errno 2] No such file or directory: 'src/utils.py'", 'src/utils.py'],
    ["python: can't open file '/data/work/e/train/1/workspace/src/utils.py': [Errno 2]", `${workspace}/src/utils.py`],
    ["Error: Cannot find module './src/utils.py'", './src/utils.py'],
    ['sh: 1: cannot open src/utils.py: No such file', 'src/utils.py'],
    ['Error: file src/utils.py does not exist.', 'src/utils.py'],
  ])('%s', (line, expected) => {
    const tried = triedInLog(`well\n${line}\n`)
    expect(tried.map((one) => one.path)).toContain(expected)
    expect(undeclaredReads({ workspace, tried, commit, declared: [] })).toEqual(['src/utils.py'])
  })

  it('takes no path of a line that complains of nothing', () => {
    expect(triedInLog('reading src/utils.py\n')).toEqual([])
  })
})

describe('what a log complains of outside the workspace', () => {
  const facts = { workspace, hidden: ['/home/u', '/data/work'], visible: ['/data', workspace, '/home/u/.cargo'] }
  it.each<[string, string[]]>([
    [
      "FileNotFoundError: [Errno 2] No such file or directory: '/home/u/project/table.csv'",
      ['/home/u/project/table.csv'],
    ],
    ["touch: cannot touch '../up.txt': Read-only file system", ['/data/work/e/train/1/up.txt']],
    ['sh: 1: cannot create /home/u/out.csv: Directory nonexistent', ['/home/u/out.csv']],
    ['error: /home/u/.cargo/bin/tool: file not found', []],
    ['cat: src/utils.py: No such file or directory', []],
    ['File "/data/envs/e/lib/x.py", line 3, in file_not_found', []],
    ['cat: /etc/nothing: No such file or directory', []],
    ['reading /home/u/project/table.csv', []],
    ['ls: /home/u: not found', []],
  ])('%s', (line, expected) => {
    expect(outsideInLog(`well\n${line}\n`, facts).map(({ path: found }) => found)).toEqual(expected)
  })

  it.each([
    ['/home/u/project/src/utils.py', 'src/utils.py'],
    ['/home/u/project/src/pkg', 'src/pkg'],
    ['/home/u/project/other.csv', undefined],
  ])('%s is in the commit as %s', (absolute, expected) => {
    expect(inCommit(absolute, commit)).toBe(expected)
  })
})

it('names a dataset as it is declared', () => {
  const data = { biopsies: { path: 'data/biopsies.csv' } }
  expect(asDependency('data/biopsies.csv', data)).toBe('data:biopsies')
  expect(asDependency('src/utils.py', data)).toBe('src/utils.py')
})
