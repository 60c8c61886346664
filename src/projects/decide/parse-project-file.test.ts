// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${params.x} is a word of modelwright.yaml
import { describe, expect, it } from 'vitest'
import { isAppError } from '../../kernel/errors.ts'
import { checkProjectFile, parseProjectFile } from './parse-project-file.ts'

const digest = `sha256:${'9f2c'.repeat(16)}`

/** The example of the design, without the parts that this version refuses by name. */
const example = `project: tumour-classifier

python: { version: ">= 3.11", requirements: requirements.txt }   # locked exactly

data:
  biopsies:
    path: data/biopsies.csv
    key: sample_id
    plus: { predictions: production, labelled: true }
    checks:
      - rows: ">= 300"
      - { column: mean_radius, type: number, range: [0, 100], missing: "<= 1%" }
      - { column: diagnosis, values: [benign, malignant], at: training }

steps:
  prepare:  { run: python src/prepare.py, deps: [src/, data:biopsies], outs: [work/train.csv, work/test.csv] }
  train:
    run: python src/train.py --depth \${params.depth}
    deps: [src/, work/train.csv]
    params: { depth: 3, learning_rate: 0.1 }
    seed: 7
    model: tumour-classifier
  evaluate: { run: python src/evaluate.py, deps: [src/, work/test.csv, model:tumour-classifier], metrics: true }

models:
  tumour-classifier:
    gate:
      objectives:
        - { metric: evaluate.auc, pass: [">= 0.95", ">= champion - 0.005"], warn: [">= 0.93"], key: true }
      total: { pass: 90%, warn: 75% }
    promote: { staging: automatic, production: pull-request }

deployments:
  production:
    model: tumour-classifier
    version: 3
    digest: ${digest}
    rollout: { canary: [5%, 25%, 100%], every: 10m, abort: { error_rate: "> 1%" } }
    monitor: { drift: { psi: "> 0.2" }, labels: { within: 7d } }
    retrain: { on: [drift, "accuracy < 0.9", "every monday 06:00"], at_most: 1 per day }
`

const fixed = (comparator: string, value: number, text: string) => ({
  text,
  comparator,
  target: { kind: 'fixed', value },
})

describe("the design's example", () => {
  const file = parseProjectFile(example)

  it('gives its data with checks as bounds, types and ranges', () => {
    expect(file.data).toEqual({
      biopsies: {
        path: 'data/biopsies.csv',
        key: 'sample_id',
        plus: { predictions: 'production', labelled: true },
        checks: [
          { kind: 'rows', rows: fixed('>=', 300, '>= 300') },
          {
            kind: 'column',
            column: 'mean_radius',
            type: 'number',
            range: { min: 0, max: 100 },
            missing: fixed('<=', 0.01, '<= 1%'),
            at: 'both',
          },
          { kind: 'column', column: 'diagnosis', values: ['benign', 'malignant'], at: 'training' },
        ],
      },
    })
  })

  it('gives its steps with normalised paths, references and defaults', () => {
    expect(Object.keys(file.steps)).toEqual(['prepare', 'train', 'evaluate'])
    expect(file.steps.train).toEqual({
      name: 'train',
      run: 'python src/train.py --depth ${params.depth}',
      deps: [
        { kind: 'path', path: 'src' },
        { kind: 'path', path: 'work/train.csv' },
      ],
      outs: [],
      params: { depth: 3, learning_rate: 0.1 },
      seed: 7,
      env: [],
      model: 'tumour-classifier',
      metrics: false,
      always: false,
      when: [],
      retries: { times: 0, waitMs: 10_000, on: ['error', 'timeout', 'memory', 'lost'] },
      resources: { cpu: 1, gpu: 0 },
      secrets: [],
      caches: [],
      isolated: true,
      platform: false,
    })
    expect(file.steps.evaluate?.deps.at(-1)).toEqual({ kind: 'model', name: 'tumour-classifier' })
    expect(file.steps.evaluate?.metrics).toBe(true)
  })

  it('gives its gate with the step of each metric', () => {
    const { gate, promote } = file.models['tumour-classifier']!
    expect(gate).toMatchObject({ total: { pass: 0.9, warn: 0.75 }, first: 'ask' })
    expect(gate?.objectives).toEqual([
      {
        metric: 'evaluate.auc',
        step: 'evaluate',
        name: 'auc',
        pass: {
          all: [
            fixed('>=', 0.95, '>= 0.95'),
            {
              text: '>= champion - 0.005',
              comparator: '>=',
              target: { kind: 'champion', offset: -0.005, share: 0, factor: 1 },
            },
          ],
        },
        warn: { all: [fixed('>=', 0.93, '>= 0.93')] },
        weight: 1,
        key: true,
      },
    ])
    expect(promote).toEqual({ staging: 'automatic', production: 'pull-request' })
  })

  it('gives its deployment in shares and milliseconds', () => {
    expect(file.deployments.production).toEqual({
      model: 'tumour-classifier',
      version: 3,
      digest,
      rollout: {
        canary: [0.05, 0.25, 1],
        everyMs: 600_000,
        minRequests: 30,
        abort: { errorRate: fixed('>', 0.01, '> 1%') },
      },
      monitor: { drift: { psi: fixed('>', 0.2, '> 0.2') }, labels: { withinMs: 7 * 86_400_000 } },
      retrain: {
        on: [
          { kind: 'drift' },
          { kind: 'metric', metric: 'accuracy', bound: fixed('<', 0.9, '< 0.9') },
          { kind: 'schedule', text: 'every monday 06:00', cron: '0 6 * * 1' },
        ],
        atMost: { count: 1, perMs: 86_400_000 },
        cooldownMs: 3_600_000,
      },
      serve: {},
      inputs: { onFailure: 'reject', impute: {} },
      log: { sample: 1, hash: [] },
    })
  })

  it('gives the branch main and the Python environment', () => {
    expect(file).toMatchObject({
      project: 'tumour-classifier',
      branch: 'main',
      python: { version: '>= 3.11', requirements: 'requirements.txt' },
    })
  })
})

it('reads a file of nothing but a project', () => {
  expect(parseProjectFile('project: p')).toEqual({
    project: 'p',
    branch: 'main',
    data: {},
    steps: {},
    models: {},
    deployments: {},
  })
})

it('makes a command, a dep of the model and of the table, and an out of score:', () => {
  const text = `project: p
data: { people: { path: people.csv } }
steps:
  train: { run: fit, model: a-model }
  one: { score: a-model, input: 'data:people', out: work/one.parquet, keep: [id, "it's"] }
  two: { score: a-model, input: work/some.csv, out: two.csv, deps: [src] }
  make: { run: make, outs: [work/some.csv] }
`
  const { one, two } = parseProjectFile(text, 'modelwright.yaml').steps
  expect(one).toMatchObject({
    score: 'a-model',
    deps: [
      { kind: 'data', name: 'people' },
      { kind: 'model', name: 'a-model' },
    ],
    outs: ['work/one.parquet'],
  })
  expect(one!.run).toContain('score "$MODELWRIGHT_MODEL_A_MODEL" "$MODELWRIGHT_DATA_PEOPLE" \'work/one.parquet\'')
  expect(one!.run).toMatch(/--keep 'id,it'\\''s'$/)
  expect(two!.run).toContain("score \"$MODELWRIGHT_MODEL_A_MODEL\" 'work/some.csv' 'two.csv'")
})

it('reads how an endpoint is carried, what becomes of bad rows, and what is kept of requests', () => {
  const { deployments } = parseProjectFile(`
project: p
steps: { train: { run: "true", model: m } }
deployments:
  production:
    model: m
    serve: { concurrency: 8, queue: 0, workers: 2, spare: true, memory: 2GB, deadline: 30s, swap: hold, idle: 15m }
    inputs: { on_failure: impute, impute: { radius: 14.2, kind: benign } }
    log: { sample: 10%, fields: [radius], hash: [patient_id], keep: 90d, subject: patient_id }
  staging: { model: m, inputs: { on_failure: warn }, log: { fields: all } }
`)
  expect(deployments.production).toMatchObject({
    serve: {
      concurrency: 8,
      queue: 0,
      workers: 2,
      spare: true,
      memoryBytes: 2e9,
      deadlineMs: 30_000,
      swap: 'hold',
      idleMs: 900_000,
    },
    inputs: { onFailure: 'impute', impute: { radius: 14.2, kind: 'benign' } },
    log: { sample: 0.1, fields: ['radius'], hash: ['patient_id'], keepMs: 90 * 86_400_000, subject: 'patient_id' },
  })
  expect(deployments.staging).toMatchObject({
    inputs: { onFailure: 'warn', impute: {} },
    log: { sample: 1, hash: [] },
  })
  expect(deployments.staging!.log).not.toHaveProperty('fields')
})

it.each([
  ['values that nobody uses', 'inputs: { impute: { radius: 1 } }', 'they are used with on_failure: impute'],
  ['imputing without values', 'inputs: { on_failure: impute }', 'say impute: { COLUMN: VALUE }'],
  ['a concurrency of none', 'serve: { concurrency: 0 }', 'found 0; expected a whole number from 1'],
  ['a share above all', 'log: { sample: 110% }', 'a share such as 5%'],
  ['a duration of nothing', 'log: { keep: 0s }', 'a duration of nothing'],
])('refuses %s', (_, line, message) => {
  const text = `project: p\nsteps: { train: { run: "true", model: m } }\ndeployments: { production: { model: m, ${line} } }\n`
  expect(() => parseProjectFile(text)).toThrow(message)
})

it('reads approvals by role, alternatives of bounds, open ranges, windows and the other forms', () => {
  const file = parseProjectFile(`
project: p
branch: release/1.x
data: { d: { path: ./d.csv, checks: [{ column: a, range: [null, 5], unique: true, regex: "^a", type: integer }] } }
steps:
  train: { run: "true", model: m, env: [HF_HOME], always: true, metrics: out/metrics.json }
  eval.fast: { run: e, deps: ["model:m", "data:d", "src/**/*.py"], metrics: true }
models:
  m:
    gate:
      objectives: [{ metric: eval.fast.f1, pass: { any: [">= 0.9", [">= champion", ">= 0.8"]] }, weight: 2 }, { metric: train.loss }]
      first: allow
    promote: { production: { approval: owner } }
deployments:
  production:
    model: m
    rollout: { canary: [0.5, 1], every: 2s, min_requests: 5, abort: { input_failure_rate: "> 0.05" } }
    monitor: { window: 500, drift: { ks: "> 0.1", chi2: "> 0.3", missing: "> 5%" } }
    retrain: { on: every 6h, at_most: 3 per 12h, cooldown: 0s }
`)
  expect(file.branch).toBe('release/1.x')
  expect(file.data.d).toEqual({
    path: 'd.csv',
    checks: [
      { kind: 'column', column: 'a', range: { max: 5 }, unique: true, regex: '^a', type: 'integer', at: 'both' },
    ],
  })
  expect(file.steps.train).toMatchObject({ run: 'true', env: ['HF_HOME'], always: true, metrics: 'out/metrics.json' })
  const [first, second] = file.models.m!.gate!.objectives
  expect(first).toMatchObject({ step: 'eval.fast', name: 'f1', weight: 2 })
  expect(first!.pass).toMatchObject({
    any: [{ text: '>= 0.9' }, { all: [{ text: '>= champion' }, { text: '>= 0.8' }] }],
  })
  expect(second).toEqual({ metric: 'train.loss', step: 'train', name: 'loss', weight: 1, key: false })
  expect(file.models.m!.promote).toEqual({ production: { approval: 'owner' } })
  expect(file.deployments.production).toMatchObject({
    rollout: { canary: [0.5, 1], everyMs: 2000, minRequests: 5, abort: { inputFailureRate: { text: '> 0.05' } } },
    monitor: { window: { predictions: 500 } },
    retrain: {
      on: [{ kind: 'schedule', text: 'every 6h', cron: '0 */6 * * *' }],
      atMost: { count: 3, perMs: 43_200_000 },
      cooldownMs: 0,
    },
  })
})

/** Each case: what is replaced in the example by what, and where the complaint must stand with which words. */
type Case = [name: string, from: string, to: string, place: string, ...words: string[]]

const wrong: Case[] = [
  [
    'a misspelt key of a step',
    'outs: [work/train',
    'ouputs: [work/train',
    '16:72',
    'found "ouputs"; allowed here: run, notebook, score, input, out, keep, deps, outs',
    'did you mean "outs"?',
  ],
  [
    'a misspelt section',
    'deployments:\n',
    'deploymens:\n',
    '33:1',
    'found "deploymens"',
    'did you mean "deployments"?',
  ],
  [
    'a misspelt key that is required',
    '- { metric: evaluate.auc',
    '- { metrics: evaluate.auc',
    '29:13',
    'did you mean "metric"?',
  ],
  ['a missing project', 'project: tumour-classifier\n', '\n', '3:1', '"project" is missing'],
  [
    'a missing run:',
    'run: python src/prepare.py, ',
    '',
    '16:13',
    'neither run: nor notebook: nor score:; expected a command',
  ],
  ['score: without what it scores', 'run: python src/prepare.py', 'score: x', '16:22', 'found score: without input:'],
  [
    'score: beside run:',
    '{ run: python src/prepare.py',
    '{ score: x, run: python src/prepare.py',
    '16:',
    'has one of them',
  ],
  [
    'score: with a registered version',
    'run: python src/prepare.py',
    'score: x@champion, input: a.csv, out: b.csv',
    '16:22',
    'a model that this pipeline makes',
    'modelwright score',
  ],
  [
    'out: of another kind',
    'run: python src/prepare.py',
    'score: x, input: a.csv, out: b.json',
    '16:',
    '.parquet, .csv or .tsv',
  ],
  ['a version that YAML reads as a number', '">= 3.11"', '3.10', '3:20', 'found 3.1;', 'in quotes'],
  [
    'a command that YAML reads as a truth value',
    'run: python src/prepare.py',
    'run: true',
    '16:20',
    'found true;',
    'in quotes',
  ],
  [
    'a project name with a blank',
    'project: tumour-classifier',
    'project: a b',
    '1:10',
    'found "a b"',
    'a name of letters',
  ],
  [
    'a step name with shell characters',
    '  prepare:',
    '  "pre;rm -rf":',
    '16:3',
    'found "pre;rm -rf"',
    'a name of letters',
  ],
  ['a step name that JavaScript has a meaning for', '  prepare:', '  constructor:', '16:3', 'found "constructor"'],
  ['an environment name with a slash', '  production:\n', '  prod/uction:\n', '34:3', 'found "prod/uction"'],
  [
    'a column type that there is not',
    'type: number',
    'type: numeric',
    '12:38',
    'found "numeric"; allowed here: number, integer, string, boolean',
  ],
  ['a range that begins after its end', '[0, 100]', '[100, 0]', '12:53', 'begins after its end'],
  ['rows as a number', 'rows: ">= 300"', 'rows: 300', '11:15', 'found 300; expected a bound', 'in quotes'],
  ['a bound without comparison', '"> 0.2"', '"0.2"', '39:30', 'found "0.2"'],
  [
    'the champion where there is none',
    'error_rate: "> 1%"',
    'error_rate: "> champion"',
    '38:74',
    'only a gate compares with the champion',
  ],
  ['a check that is no map', '- rows: ">= 300"', '- 300', '11:9', 'found 300; expected a check'],
  [
    'a dep that YAML reads as a map',
    'data:biopsies]',
    'data: biopsies]',
    '16:56',
    'found a map; expected a path, data:NAME or model:NAME',
  ],
  [
    'a check of neither rows nor a column',
    '- rows: ">= 300"',
    '- rws: ">= 300"',
    '11:9',
    'found "rws"',
    'did you mean "rows"?',
  ],
  ['an absolute output', 'work/test.csv]', '/etc/passwd]', '16:95', 'is absolute'],
  [
    'a dep that leaves the repository',
    'deps: [src/, work/train.csv]',
    'deps: [src/../../x]',
    '19:12',
    'leaves the repository by ".."',
  ],
  ['a path with a backslash', 'path: data/biopsies.csv', 'path: data\\biopsies.csv', '7:11', 'backslash'],
  ['a path with a NUL', 'path: data/biopsies.csv', 'path: "data/\\0.csv"', '7:11', 'control character'],
  ['a dep in .git', 'deps: [src/, work/train.csv]', 'deps: [.GIT/config]', '19:12', 'lies in .git'],
  ['a path in the home folder', 'path: data/biopsies.csv', 'path: ~/b.csv', '7:11', 'begins with ~'],
  ['a pattern with braces', 'deps: [src/, work/train.csv]', 'deps: ["src/*.{py,sql}"]', '19:12', 'braces'],
  [
    'a parameter in a path',
    'deps: [src/, work/train.csv]',
    'deps: ["src/${params.depth}"]',
    '19:12',
    'only ${matrix.NAME} and ${item} are filled in',
  ],
  ['a pattern as output', 'work/test.csv]', 'work/*.csv]', '16:95', 'a pattern cannot stand here'],
  ['the whole repository as output', 'work/test.csv]', './]', '16:95', 'the whole repository'],
  [
    'an unknown data reference',
    'data:biopsies]',
    'data:biopsis]',
    '16:56',
    'found "biopsis"',
    'declared: biopsies',
    'did you mean "biopsies"?',
  ],
  [
    'an unknown model reference',
    'model:tumour-classifier]',
    'model:tumor-classifier]',
    '23:72',
    'did you mean "tumour-classifier"?',
  ],
  [
    'a step that reads what it writes',
    'deps: [src/, work/train.csv]',
    'deps: [src/]\n    outs: [src/cache]',
    '20:12',
    'cannot depend on what it writes',
  ],
  ['the same output twice', 'seed: 7', 'outs: [work/test.csv]', '21:12', 'output "work/test.csv" of step "prepare"'],
  [
    'an output inside another one',
    'seed: 7',
    'outs: [work/test.csv/part]',
    '21:12',
    'overlaps output "work/test.csv" of step "prepare"',
  ],
  ['an output over data kept in Git', 'seed: 7', 'outs: [data]', '21:12', 'overlaps the data "data/biopsies.csv"'],
  ['an output over the file itself', 'seed: 7', 'outs: [modelwright.yaml]', '21:12', 'overlaps the file'],
  [
    'a cycle of steps',
    'deps: [src/, data:biopsies]',
    'deps: [src/, model:tumour-classifier]',
    '16:3',
    'found a cycle: ',
    'prepare → train → prepare',
  ],
  [
    'a parameter that is not declared',
    '${params.depth}',
    '${params.dept}',
    '18:10',
    'found "dept"',
    'did you mean "depth"?',
  ],
  ['a parameter inside quotes', '${params.depth}', '"${params.depth}"', '18:10', 'inside quotes'],
  [
    'a parameter that is a list',
    'depth: 3',
    'depth: [3]',
    '20:22',
    'found a list; expected a text, a number, true or false',
  ],
  ['a number that loses digits', 'depth: 3', 'depth: 12345678901234567890', '20:22', 'more digits'],
  ['a fractional seed', 'seed: 7', 'seed: 1.5', '21:11', 'found 1.5; expected a whole number'],
  ['a variable that Modelwright sets', 'seed: 7', 'env: [MLFLOW_RUN_ID]', '21:11', 'Modelwright sets this variable'],
  [
    'two steps that log one model',
    '  evaluate: {',
    '  again: { run: x, model: tumour-classifier }\n  evaluate: {',
    '23:27',
    'which step "train" logs already',
  ],
  [
    'a metric of a step that there is not',
    'metric: evaluate.auc',
    'metric: evalute.auc',
    '29:21',
    'did you mean "evaluate.auc"?',
  ],
  [
    'a metric of a step without metrics',
    'metric: evaluate.auc',
    'metric: train.auc',
    '29:21',
    'step "train" has no metrics: true',
  ],
  ['a metric without a name', 'metric: evaluate.auc', 'metric: evaluate', '29:21', 'expected STEP.METRIC'],
  [
    'a champion that cannot be evaluated',
    'work/test.csv, model:tumour-classifier]',
    'work/test.csv]',
    '29:21',
    'has no dep "model:tumour-classifier"',
  ],
  [
    'a gate for a model that no step logs',
    '  tumour-classifier:\n    gate',
    '  other:\n    gate',
    '26:3',
    'found "other"',
  ],
  ['a total that warns above the pass', 'warn: 75%', 'warn: 95%', '30:14', 'warn must be at most pass'],
  ['a share above one', 'pass: 90%', 'pass: 190%', '30:22', 'expected a share such as 5% or 0.05'],
  ['a misspelt rule of promotion', 'staging: automatic', 'staging: automatc', '31:25', 'did you mean "automatic"?'],
  [
    'a deployment of an unknown model',
    'model: tumour-classifier\n    version',
    'model: tumour\n    version',
    '35:12',
    'no such model',
  ],
  ['a canary that falls', '[5%, 25%, 100%]', '[25%, 5%, 100%]', '38:30', 'rise from step to step'],
  ['a canary that does not end at 100%', '[5%, 25%, 100%]', '[5%, 25%]', '38:29', 'the last step of a canary is 100%'],
  ['an interval that is no duration', 'every: 10m', 'every: 10 minutes', '38:48', 'expected a duration such as'],
  ['an interval of nothing', 'every: 10m', 'every: 0s', '38:48', 'a duration of nothing'],
  ['a digest of another form', digest, 'sha256:9f2c', '37:13', 'sha256: and 64 hex digits'],
  ['a version that is no number', 'version: 3', 'version: three', '36:14', 'expected a version number'],
  ['a version without digest', `    digest: ${digest}\n`, '', '36:14', 'without digest:'],
  ['an unknown drift measure', 'psi: "> 0.2"', 'psii: "> 0.2"', '39:25', 'did you mean "psi"?'],
  ['a trigger that is none', '"accuracy < 0.9"', 'sometimes', '40:28', 'found "sometimes"', 'every monday 06:00'],
  ['a schedule that does not divide a day', '"every monday 06:00"', 'every 7h', '40:46', 'found "every 7h"'],
  ['a budget of another form', 'at_most: 1 per day', 'at_most: daily', '40:78', '"1 per day"'],
  ['retraining on a drift that nobody measures', 'drift: { psi: "> 0.2" }, ', '', '40:20', 'has no drift: bounds'],
  ['an unknown environment under plus:', 'predictions: production', 'predictions: prod', '9:26', 'found "prod"'],
  ['plus: without a key', '    key: sample_id\n', '', '8:5', 'without key:'],
  [
    'two data names that make one variable',
    'data:\n',
    'data:\n  a-b: { path: a.csv }\n  a.b: { path: b.csv }\n',
    '7:3',
    'MODELWRIGHT_DATA_A_B',
  ],
  ['the same key twice', 'seed: 7', 'seed: 7\n    seed: 8', '22:5', 'the key "seed" a second time'],
  ['a tab as indentation', '    seed: 7', '\tseed: 7', '21:1', 'tab'],
  ['a second document', 'models:\n', '---\nmodels:\n', '25:1', 'second YAML document'],
  ['a tag of one’s own', 'seed: 7', 'seed: !secret 7', '21:', 'ag'],
  ['binary data', 'seed: 7', 'seed: !!binary aGVsbG8=', '21:20', 'the tag'],
  ['an alias that no anchor defines', 'seed: 7', 'seed: *nowhere', '21:11', '*nowhere'],
]

describe('parseProjectFile refuses', () => {
  for (const [name, from, to, place, ...words] of wrong)
    it(name, () => {
      expect(example).toContain(from)
      const { code, message } = refusalOf(example.replace(from, () => to))
      expect(code).toBe('ConfigInvalid')
      expect(message).toContain(`modelwright.yaml:${place}`)
      for (const word of words) expect(message).toContain(word)
    })
})

describe('the Python environment', () => {
  const pythonOf = (line: string) => parseProjectFile(`project: p\npython: { ${line} }\n`).python

  it('is that of a requirements file, or of a conda file', () => {
    expect(pythonOf('requirements: r.txt, version: ">= 3.11"')).toEqual({ requirements: 'r.txt', version: '>= 3.11' })
    expect(pythonOf('conda: environment.yml')).toEqual({ requirements: 'environment.yml', conda: true })
  })

  it.each([
    ['version: ">= 3.11"', 'found neither requirements: nor conda:'],
    ['requirements: r.txt, conda: e.yml', 'found conda: beside requirements:'],
    ['conda: e.yml, version: ">= 3.11"', 'found version: beside conda:'],
    ['requirements: environment.yml', 'write a conda file as conda:'],
  ])('is refused: %s', (line, why) => {
    expect(() => pythonOf(line)).toThrow(why)
  })
})

describe('data at an address', () => {
  const dataOf = (line: string) => parseProjectFile(`project: p\ndata: { rows: { ${line} } }\n`).data.rows!

  it('has its place in the workspace, by its name and the file', () => {
    expect(dataOf('path: https://example.org/a/b.csv?v=3')).toEqual({
      path: '.modelwright/data/rows/b.csv',
      address: 'https://example.org/a/b.csv?v=3',
      checks: [],
    })
    expect(dataOf('path: file:///srv/b.csv')).toMatchObject({ address: 'file:///srv/b.csv' })
    expect(dataOf('path: https://example.org/b.csv, secret: TOKEN')).toMatchObject({ secret: 'TOKEN' })
    expect(dataOf('path: b.csv')).not.toHaveProperty('address')
  })

  it.each([
    ['path: http://example.org/b.csv', 'say https'],
    ['path: file://host/b.csv', 'the host "host"'],
    ['path: https://example.org/b.csv, secret: MLFLOW_X', 'Modelwright sets this variable itself'],
    ['path: b.csv, secret: TOKEN', 'it is for https://'],
    ['path: file:///b.csv, secret: TOKEN', 'it is for https://'],
  ])('is refused: %s', (line, why) => {
    expect(() => dataOf(line)).toThrow(why)
  })

  it('is refused with a password, which the message does not repeat', () => {
    expect(() => dataOf('path: https://ada:pw12@example.org/b.csv')).toThrow(/stand in Git/)
    expect(() => dataOf('path: https://ada:pw12@example.org/b.csv')).not.toThrow(/pw12/)
  })

  it('takes no labelled rows in yet', () => {
    const line = 'path: https://example.org/b.csv, key: id, plus: { predictions: production }'
    const text = `project: p\ndata: { rows: { ${line} } }\nsteps: { train: { run: x, model: m } }\ndeployments: { production: { model: m } }\n`
    expect(() => parseProjectFile(text)).toThrow(/plus: beside data at an address.*not carry out yet/)
  })
})

const later: Case[] = [
  ['an object store', 'path: data/biopsies.csv', 'path: s3://bucket/b.csv', '7:11', 's3://bucket/b.csv'],
  ['a dataset by digest', 'path: data/biopsies.csv', `path: biopsies@${digest}`, '7:11', 'a dataset by its digest'],
  ['an image', 'seed: 7', 'image: python:3.11', '21:5', '"image:"'],
  ['features', 'models:\n', 'features: {}\nmodels:\n', '25:1', '"features:"'],
  ['searches', 'models:\n', 'searches: {}\nmodels:\n', '25:1', '"searches:"'],
  ['environments', 'models:\n', 'environments: {}\nmodels:\n', '25:1', '"environments:"'],
  [
    'a metric measured while serving',
    'pass: [">= 0.95", ">= champion - 0.005"]',
    'pass: [">= 0.95"] }\n        - { metric: serving.p99_ms',
    '30:21',
    'serving.p99_ms',
  ],
  ['slices', 'key: true', 'slices: [age]', '29:96', '"slices:"'],
  ['blue/green', 'rollout: { canary: [5%, 25%, 100%]', 'rollout: { blue_green: true', '38:16', '"blue_green:"'],
  ['a shadow', 'rollout: { canary: [5%, 25%, 100%]', 'rollout: { shadow: 10%', '38:16', '"shadow:"'],
]

describe('parseProjectFile answers NotYetSupported, by name and place, to', () => {
  for (const [name, from, to, place, ...words] of later)
    it(name, () => {
      expect(example).toContain(from)
      const { code, message } = refusalOf(example.replace(from, () => to))
      expect(code).toBe('NotYetSupported')
      expect(message).toContain(`modelwright.yaml:${place} asks for`)
      for (const word of words) expect(message).toContain(word)
    })
})

describe('a hostile file', () => {
  it.each([
    ['more than 256 kB', `project: p # ${'x'.repeat(256_000)}`, 'at most 256000'],
    ['brackets nested 100,000 deep', `project: ${'['.repeat(100_000)}`, 'nested too deeply'],
    ['maps nested 100 deep', `project: ${'{a: '.repeat(100)}1${'}'.repeat(100)}`, 'nested too deeply'],
    ['an alias bomb', bomb(), 'aliases'],
    ['an anchor that holds itself', 'project: &a [*a]', 'nested too deeply'],
    [
      'many aliases',
      `project: p\nsteps:\n  a: &a { run: x }\n${Array.from({ length: 100 }, (_, i) => `  b${i}: *a\n`).join('')}`,
      'aliases',
    ],
    ['a YAML 1.1 directive', '%YAML 1.1\n---\nproject: p\n', 'directive'],
    ['a merge key', 'project: p\nsteps:\n  a: &a { run: x }\n  b:\n    <<: *a\n', 'found "<<"'],
    ['a key __proto__', 'project: p\n__proto__: { branch: x }\n', '2:1 found the key "__proto__"'],
    ['a step __proto__', 'project: p\nsteps: { __proto__: { run: x } }\n', '2:10 found the key "__proto__"'],
    ['a list as key', 'project: p\n? [a]\n: b\n', 'a key that is not a plain word'],
    ['nothing', '', 'the file is empty'],
    ['only a comment', '# hello\n', 'the file is empty'],
    ['a list', '- a\n', 'found a list; expected a map'],
    ['a word', 'hello\n', 'found "hello"; expected a map'],
  ])('with %s is refused', (_, text, word) => {
    expect(refusalOf(text).message).toContain(word)
  })

  it('of 6,000 keys in one map is refused for their number', () => {
    const text = `project: p\nparams: {${Array.from({ length: 6000 }, (_, i) => `k${i}: 1`).join(', ')}}`
    expect(refusalOf(text).message).toContain('5000 values')
  })
})

it('lists all problems in the order of the file, the first ten in the message, with the first one as its place', () => {
  const steps = Array.from({ length: 12 }, (_, i) => `  s${i}: { rum: x }`).join('\n')
  const text = `project: p\nsteps:\n${steps}\n`
  const { message, place } = refusalOf(text)
  const lines = message.split('\n')
  expect(lines).toHaveLength(11)
  expect(lines[0]).toMatch(/^modelwright\.yaml:3:9 found "rum"/)
  expect(lines[9]).toMatch(/^modelwright\.yaml:12:9 /)
  expect(lines[10]).toBe('… and 2 more')
  expect(place).toEqual({ file: 'modelwright.yaml', line: 3, column: 9 })
  const all = checkProjectFile(text)
  expect('problems' in all && all.problems).toHaveLength(12)
})

it('names the file as it was asked to', () => {
  expect(() => parseProjectFile('project: a b', 'ml/modelwright.yaml')).toThrow(/^ml\/modelwright\.yaml:1:10 /)
})

it('is ConfigInvalid where something is wrong beside something that is not carried out yet', () => {
  const { code, message } = refusalOf('project: p\nfeatures: {}\nstps: {}\n')
  expect(code).toBe('ConfigInvalid')
  expect(message).toContain('2:1 asks for "features:", which this version does not carry out yet')
})

function bomb(): string {
  const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i}, `.repeat(9)}*l${i}]`)
  return `project: p\nl0: &l0 [x, x, x, x]\n${levels.join('\n')}\n`
}

function refusalOf(text: string) {
  try {
    parseProjectFile(text)
  } catch (error) {
    if (isAppError(error)) return error
    throw error
  }
  throw new Error('The file was accepted.')
}
