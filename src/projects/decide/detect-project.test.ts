// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${params.x} is a word of modelwright.yaml
import { describe, expect, it } from 'vitest'
import { detectProject, type RepositoryFile } from './detect-project.ts'
import { declaresNoSteps, parseProjectFile } from './parse-project-file.ts'

const py = (...lines: string[]): string => lines.join('\n')

describe('an empty repository', () => {
  const { yaml, found, guessed } = detectProject([], 'Churn model (2)')

  it('gets a skeleton with its folder’s name, and nothing is claimed to be found', () => {
    expect(parseProjectFile(yaml)).toMatchObject({ project: 'Churn-model-2', steps: {}, data: {}, models: {} })
    expect([found, guessed]).toEqual([[], []])
  })

  it('becomes a whole valid project once its comments are taken away', () => {
    const uncommented = yaml.replaceAll(/^# (?=(python|data|steps|models|deployments):| )/gm, '')
    const file = parseProjectFile(uncommented)
    expect(Object.keys(file.steps)).toEqual(['train', 'evaluate'])
    expect(file.deployments.production?.model).toBe('my-model')
  })
})

describe('scripts that log to MLflow', () => {
  const files: RepositoryFile[] = [
    { path: 'requirements.txt', text: 'mlflow\n' },
    { path: 'data/biopsies.csv', text: 'sample_id,mean_radius,diagnosis\n1,2,b\n' },
    {
      path: 'src/prepare.py',
      text: py("df = pd.read_csv('data/biopsies.csv')", "a.to_csv('work/train.csv')", 'b.to_csv("./work/test.csv")'),
    },
    {
      path: 'src/train.py',
      text: py(
        'p.add_argument("--depth", type=int, default=3)',
        "p.add_argument('--learning-rate', default=0.1)",
        "p.add_argument('--out')",
        "pd.read_csv('work/train.csv')",
        "mlflow.sklearn.log_model(m, name='model')",
      ),
    },
    { path: 'src/evaluate.py', text: py("pd.read_csv('work/test.csv')", "mlflow.log_metrics({'acc': 1, 'auc': 2})") },
    { path: 'tests/train_test.py', text: '' },
  ]
  const { yaml, found, guessed } = detectProject(files, 'tumours')
  const file = parseProjectFile(yaml)

  it('become steps that follow from what the scripts read and write', () => {
    expect(file.steps.prepare).toMatchObject({
      run: 'python src/prepare.py',
      deps: [
        { kind: 'path', path: 'src' },
        { kind: 'data', name: 'biopsies' },
      ],
      outs: ['work/train.csv', 'work/test.csv'],
    })
    expect(file.steps.train).toMatchObject({
      run: 'python src/train.py --depth ${params.depth} --learning-rate ${params.learning_rate}',
      params: { depth: 3, learning_rate: 0.1 },
      model: 'tumours',
    })
    expect(file.steps.evaluate).toMatchObject({
      metrics: true,
      deps: [{}, { path: 'work/test.csv' }, { kind: 'model', name: 'tumours' }],
    })
  })

  it('get a gate without invented limits: no worse than the champion', () => {
    const { gate, promote } = file.models.tumours!
    expect(gate?.objectives).toMatchObject([{ metric: 'evaluate.auc', pass: { all: [{ text: '>= champion' }] } }])
    expect(promote).toEqual({ production: 'pull-request' })
  })

  it('are named as found, and what was concluded from them as guessed', () => {
    expect(found).toEqual([
      'requirements.txt',
      'data/biopsies.csv',
      'src/prepare.py',
      'src/train.py',
      'src/evaluate.py',
    ])
    expect(guessed.join('\n')).toContain('"sample_id" names a row of data/biopsies.csv')
    expect(guessed.join('\n')).toContain('evaluate.auc')
  })

  it('give the data its key and the environment its requirements', () => {
    expect(file.data.biopsies).toMatchObject({ path: 'data/biopsies.csv', key: 'sample_id' })
    expect(file.python).toEqual({ requirements: 'requirements.txt' })
  })
})

it('takes lower as better for a loss', () => {
  const { yaml } = detectProject([
    { path: 'train.py', text: 'mlflow.autolog()' },
    { path: 'evaluate.py', text: 'mlflow.log_metric("rmse", 1)' },
  ])
  expect(yaml).toContain('pass: ["<= champion"]')
})

it('gives a script at the root the modules beside it that it imports', () => {
  const { yaml } = detectProject([
    { path: 'train.py', text: 'import util\nfrom lib.a import b\nimport numpy' },
    { path: 'util.py' },
    { path: 'lib/a.py' },
  ])
  expect(parseProjectFile(yaml).steps.train?.deps).toEqual(
    ['train.py', 'util.py', 'lib'].map((path) => ({ kind: 'path', path })),
  )
})

it('reads name and Python version from pyproject.toml', () => {
  const text = '[build-system]\nrequires = ["x"]\n[project]\nname = "fraud.net"\nrequires-python = ">=3.10,<3.13"\n'
  const file = parseProjectFile(detectProject([{ path: 'pyproject.toml', text }], 'folder').yaml)
  expect(file).toMatchObject({
    project: 'fraud.net',
    python: { version: '>=3.10,<3.13', requirements: 'pyproject.toml' },
  })
})

describe('a dvc.yaml', () => {
  const dvc = `stages:
  prepare:
    cmd: python src/prepare.py --split "\${prepare.split}" --name 'run \${prepare.seed}' --home $HOME
    deps: [src/prepare.py, data/raw.csv]
    params: [prepare.split, prepare.seed]
    outs: [data/prepared]
  train:
    wdir: ml
    cmd:
      - python train.py
      - python b.py
    deps: [train.py, ../data/prepared]
    params:
      - other.yaml: [lr]
    outs:
      - model.pkl: {cache: false}
    metrics:
      - metrics.json: {cache: false}
    plots: [roc.csv]
    always_changed: true
  many:
    foreach: [a, b]
    do: { cmd: "x" }
`
  const { yaml, found, guessed } = detectProject([
    { path: 'dvc.yaml', text: dvc },
    { path: 'params.yaml', text: 'prepare: { split: 0.2, seed: 4 }\n' },
    { path: 'data/raw.csv.dvc', text: 'outs: []' },
    { path: 'ml/other.yaml', text: 'lr: 1\n' },
    { path: 'train.py', text: '' },
  ])
  it('is left to stand as it is: its stages are not written down again, and scripts beside it are not looked at', () => {
    expect(parseProjectFile(yaml).steps).toEqual({})
    expect(declaresNoSteps(yaml)).toBe(true)
    expect(found).toContain('dvc.yaml: 3 stages, carried out as they stand there')
    expect(guessed).toEqual([expect.stringContaining('data/raw.csv.dvc points to data outside Git: it is taken from')])
  })

  it.each([
    ['  frozen: { cmd: x, frozen: true }\n', 'frozen'],
    ['  a: { cmd: x, outs: [d] }\n  b: { cmd: y, outs: [d/e] }\n', 'overlaps output "d" of step "a"'],
    ['  a: { cmd: "x ${nowhere}" }\n', 'nowhere'],
    ['  a: { cmd: x, outs: [m-${item}.txt] }\n', 'dvc.yaml:2'],
  ])('is told of where a push would be refused: %j', (stages, why) => {
    const { guessed } = detectProject([{ path: 'dvc.yaml', text: `stages:\n${stages}` }])
    expect(guessed).toEqual([expect.stringMatching(/^a push would be refused as it is: /)])
    expect(guessed[0]).toContain(why)
  })
})

it.each<[string, RepositoryFile[]]>([
  ['a dvc.yaml that is no YAML', [{ path: 'dvc.yaml', text: '{[' }]],
  [
    'a dvc.yaml whose outputs overlap',
    [{ path: 'dvc.yaml', text: 'stages: {a: {cmd: x, outs: [d]}, b: {cmd: y, outs: [d/e]}}' }],
  ],
  [
    'a dvc.yaml with a cycle',
    [{ path: 'dvc.yaml', text: 'stages: {a: {cmd: x, deps: [b], outs: [a]}, b: {cmd: y, deps: [a], outs: [b]}}' }],
  ],
  [
    'a dvc.yaml that leaves the repository',
    [{ path: 'dvc.yaml', text: 'stages: {a: {cmd: x, deps: [../../../etc/passwd]}}' }],
  ],
  ['a stage with a name that is none', [{ path: 'dvc.yaml', text: 'stages: {"a;b": {cmd: x}}' }]],
  [
    'a command of several lines and YAML marks',
    [{ path: 'dvc.yaml', text: 'stages: {a: {cmd: "x: [1]\\n# y\\n  z\\n\\n"}}' }],
  ],
  ['a command that is a truth value', [{ path: 'dvc.yaml', text: 'stages: {a: {cmd: "true"}}' }]],
  [
    'paths with commas, blanks and quotes',
    [{ path: 'data/a, b.csv' }, { path: "data/it's #1.csv" }, { path: 'data/{x}.csv' }, { path: 'data/a: b.csv' }],
  ],
  [
    'data names that make one variable',
    [{ path: 'data/a-b.csv' }, { path: 'data/a_b.csv' }, { path: 'data/A.B.csv' }, { path: 'data/x/a-b.csv' }],
  ],
  [
    'data without a usable name',
    [{ path: 'data/_.csv' }, { path: 'data/模型.csv' }, { path: 'data/constructor.csv' }, { path: 'data/.csv' }],
  ],
  [
    'headers of all kinds',
    [
      { path: 'data/a.csv', text: 'id,"a: b",c #d,[e]\n' },
      { path: 'data/b.csv', text: '\uFEFF"x y_id",\n' },
      { path: 'data/c.csv', text: '# id,- x,*y,true\n' },
    ],
  ],
  [
    'a script that writes what it reads',
    [{ path: 'train.py', text: "pd.read_csv('a.csv')\nx.to_csv('a.csv')\nx.to_csv('train.py')" }],
  ],
  ['a script with a path that shells mind', [{ path: 'my scripts/train $(id).py', text: '' }]],
  [
    'paths that are none',
    [{ path: '../x.py' }, { path: '' }, { path: '.git/train.py', text: '' }, { path: '/train.py' }],
  ],
  ['a project name that is none', [{ path: 'pyproject.toml', text: '[project]\nname = "../.."' }]],
])('writes a file that the parser accepts for %s', (_, files) => {
  const { yaml } = detectProject(files, '...')
  expect(parseProjectFile(yaml).project).toBe('my-project')
})

it('quotes the path of a script for the shell', () => {
  const { yaml } = detectProject([{ path: "it's/train.py", text: '' }])
  expect(parseProjectFile(yaml).steps.train?.run).toBe(String.raw`python 'it'\''s/train.py'`)
})

it('says what a script reads that neither Git has nor a step writes', () => {
  const text = py("a = pd.read_csv('iris.csv')", "b.to_csv('b.csv')", "pd.read_csv('b.csv')")
  const { guessed } = detectProject([{ path: 'train.py', text }], 'iris')
  expect(guessed.filter((one) => one.includes('reads'))).toEqual([
    expect.stringContaining('train.py reads iris.csv, which Git does not'),
  ])
})

it('reads the metrics of a training that measures itself', () => {
  const text = py('mlflow.sklearn.autolog()', 'm.fit(x, y)')
  expect(parseProjectFile(detectProject([{ path: 'train.py', text }], 'iris').yaml).steps.train).toMatchObject({
    metrics: true,
    model: 'iris',
  })
})
