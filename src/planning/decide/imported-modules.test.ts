import { describe, expect, it } from 'vitest'
import { ImportSearch, pythonSource } from './imported-modules.ts'
import { PathIndex } from './path-index.ts'

type Repository = Record<string, string>

/** Each found module with who imports it, as `module < importer`; `declared` are files that the step names itself. */
function found(command: string, files: Repository, options: { declared?: string[]; packageFolders?: string[] } = {}) {
  const search = new ImportSearch({
    command,
    declared: options.declared ?? [],
    paths: new PathIndex(Object.keys(files).sort()),
    packageFolders: options.packageFolders ?? [],
    read: (path) => pythonSource(path, files[path]!),
  })
  expect(search.goOn()).toEqual([])
  return [...search.modules].map(([module, by]) => `${module} < ${by}`).sort()
}

const notebook = (...lines: string[]) =>
  JSON.stringify({
    cells: [
      { cell_type: 'markdown', source: 'import nothing' },
      { cell_type: 'code', source: lines.map((l) => `${l}\n`) },
    ],
  })

describe('the modules that a step imports', () => {
  it.each<[string, string, Repository, string[], Parameters<typeof found>[2]?]>([
    [
      'beside the script, two imports away, and not their neighbours',
      'python src/train.py --depth 3',
      {
        'src/train.py': 'import utils',
        'src/utils.py': 'from helper import f',
        'src/helper.py': '',
        'src/other.py': '',
        'utils.py': '',
      },
      ['src/train.py < run:', 'src/utils.py < src/train.py', 'src/helper.py < src/utils.py'],
    ],
    [
      'packages with each __init__.py on the way',
      'python -m churn.train',
      {
        'churn/__init__.py': '',
        'churn/train.py': 'from churn.data import load\nfrom .sub import deep, absent',
        'churn/data.py': '',
        'churn/sub/__init__.py': '',
        'churn/sub/deep.py': '',
        'churn/unused.py': '',
      },
      [
        'churn/__init__.py < run:',
        'churn/train.py < run:',
        'churn/data.py < churn/train.py',
        'churn/sub/__init__.py < churn/train.py',
        'churn/sub/deep.py < churn/train.py',
      ],
    ],
    [
      'relative ones of two levels',
      'python -m a.b.c',
      {
        'a/__init__.py': '',
        'a/b/__init__.py': '',
        'a/b/c.py': 'from .. import d\nfrom ..e import f',
        'a/d.py': '',
        'a/e.py': '',
      },
      ['a/__init__.py < run:', 'a/b/__init__.py < run:', 'a/b/c.py < run:', 'a/d.py < a/b/c.py', 'a/e.py < a/b/c.py'],
    ],
    [
      'folders without __init__.py, after packages of later folders',
      'PYTHONPATH=lib python run.py',
      {
        'run.py': 'import ns.one, both.x',
        'ns/one.py': '',
        'both/x.py': '',
        'lib/both/__init__.py': '',
        'lib/both/x.py': '',
      },
      ['run.py < run:', 'ns/one.py < run.py', 'lib/both/__init__.py < run.py', 'lib/both/x.py < run.py'],
    ],
    [
      'packages of an editable project in src/',
      'python scripts/train.py',
      {
        'scripts/train.py': 'from churn import model',
        'src/churn/__init__.py': '',
        'src/churn/model.py': 'import churn.base',
        'src/churn/base.py': '',
        'src/churn/web.py': '',
      },
      [
        'scripts/train.py < run:',
        'src/churn/__init__.py < scripts/train.py',
        'src/churn/model.py < scripts/train.py',
        'src/churn/base.py < src/churn/model.py',
      ],
      { packageFolders: ['src'] },
    ],
    [
      'under a condition, in a function, in try, and by a literal name',
      'python a.py',
      {
        'a.py':
          'if x:\n  import b\ndef f():\n  try:\n    from c import g\n  except ImportError: pass\n  importlib.import_module("d." "e")\n  __import__("h")\n  import_module(name)\n  import_module(f"i{n}")',
        'b.py': '',
        'c.py': '',
        'd/e.py': '',
        'h.py': '',
        'i.py': '',
      },
      ['a.py < run:', 'b.py < a.py', 'c.py < a.py', 'd/e.py < a.py', 'h.py < a.py'],
    ],
    [
      'that a star of a package asks for by __all__',
      'python a.py',
      {
        'a.py': 'from pkg import *',
        'pkg/__init__.py': '__all__ = ["one"]\n__all__ += ["two"]',
        'pkg/one.py': '',
        'pkg/two.py': '',
        'pkg/three.py': '',
      },
      ['a.py < run:', 'pkg/__init__.py < a.py', 'pkg/one.py < a.py', 'pkg/two.py < a.py'],
    ],
    [
      'in folders that the code puts on sys.path, also where it computes them from its own place',
      'python jobs/train.py && python jobs/score.py',
      {
        'jobs/train.py': 'import sys\nsys.path.insert(0, "lib")\nimport tool',
        'lib/tool.py': '',
        'jobs/score.py':
          'import sys, os\nsys.path.append(os.path.join(os.path.dirname(__file__), "..", "common"))\nimport scoring',
        'common/scoring.py': '',
      },
      [
        'jobs/train.py < run:',
        'lib/tool.py < jobs/train.py',
        'jobs/score.py < run:',
        'common/scoring.py < jobs/score.py',
      ],
    ],
    [
      'of a script in another working folder',
      'cd sub && python train.py',
      { 'sub/train.py': 'import helper', 'sub/helper.py': '', 'helper.py': '' },
      ['sub/train.py < run:', 'sub/helper.py < sub/train.py'],
    ],
    [
      "of a notebook's code cells, its %run and its !python",
      "python -m modelwright_notebook 'nb/a.ipynb'",
      {
        'nb/a.ipynb': notebook('%matplotlib inline', 'import features', '%run other.py', '!python tools/x.py'),
        'nb/features.py': '',
        'other.py': '',
        'tools/x.py': '',
      },
      ['nb/a.ipynb < run:', 'nb/features.py < nb/a.ipynb', 'other.py < nb/a.ipynb', 'tools/x.py < nb/a.ipynb'],
    ],
    [
      'of tests, with the conftest.py above them',
      'pytest -q tests/unit',
      { 'conftest.py': '', 'tests/unit/test_a.py': 'from src.a import f', 'tests/unit/data.py': '', 'src/a.py': '' },
      ['conftest.py < run:', 'tests/unit/test_a.py < run:', 'src/a.py < tests/unit/test_a.py'],
    ],
    [
      'of declared files where the command itself names no Python',
      'make train',
      { 'src/a.py': 'import b', 'src/b.py': '', 'src/c.py': '' },
      ['src/b.py < src/a.py'],
      { declared: ['src/a.py'] },
    ],
    [
      'of what a declared script for sh starts',
      'sh run.sh',
      { 'run.sh': 'set -e\npython src/a.py "$@"', 'src/a.py': 'import b', 'src/b.py': '' },
      ['src/a.py < run.sh', 'src/b.py < src/a.py'],
      { declared: ['run.sh'] },
    ],
    [
      'and of packages nothing',
      'python -c "import numpy as np, mine.part"',
      { 'mine/part.py': 'from sklearn import tree\nimport os.path', 'numpy.txt': '' },
      ['mine/part.py < run:'],
    ],
    [
      'although a circle of imports has no end and a line cannot be read',
      'python a.py',
      { 'a.py': 'import b\nprint "old"\ndef (:\nimport c', 'b.py': 'import a', 'c.py': '' },
      ['a.py < run:', 'b.py < a.py', 'c.py < a.py'],
    ],
  ])('are found %s', (_, command, files, expected, options) => {
    expect(found(command, files, options)).toEqual([...expected].sort())
  })

  it('are asked for by name as they come into sight, however long the chain', () => {
    const length = 20_000
    const paths = new PathIndex(Array.from({ length }, (_, i) => `m${i}.py`).sort())
    const texts = new Map<string, ReturnType<typeof pythonSource>>()
    const search = new ImportSearch({
      command: 'python m0.py',
      declared: [],
      paths,
      packageFolders: [],
      read: (path) => texts.get(path),
    })
    let rounds = 0
    for (let unread = search.goOn(); unread.length > 0; unread = search.goOn(), rounds++)
      for (const path of unread) texts.set(path, pythonSource(path, `import m${Number(path.slice(1, -3)) + 1}`))
    expect([search.modules.size, rounds]).toEqual([length, length])
  })

  it('do not multiply where each file looks in other folders', () => {
    const names = Array.from({ length: 12 }, (_, i) => `m${i}`)
    const files = Object.fromEntries(
      names.map((name) => [
        `${name}.py`,
        `import sys\nsys.path.insert(0, "${name}")\n${names.map((n) => `import ${n}`).join('\n')}`,
      ]),
    )
    expect(found('python m0.py', files)).toHaveLength(12)
  })

  it('never lie outside of the repository', () => {
    expect(
      found('python ../x.py; python /etc/y.py; cd .. && python z.py', { 'x.py': '', 'z.py': '', 'etc/y.py': '' }),
    ).toEqual([])
  })
})
