import type { getExecution } from '../../src/executions/executions-contract.ts'
import type { getVerdict } from '../../src/gates/gates-contract.ts'
import type { OutputOf } from '../../src/kernel/route.ts'
import type { getOverview, listVersions, whyVersion } from '../../src/lineage/lineage-contract.ts'
import type { getMonitoring } from '../../src/monitoring/monitoring-contract.ts'
import type { listProjects } from '../../src/projects/projects-contract.ts'
import type { getPromotion } from '../../src/promotions/promotions-contract.ts'
import type { getRetraining } from '../../src/retraining/retraining-contract.ts'
import type { getDeployment, getGateway } from '../../src/rollouts/rollouts-contract.ts'
import type { getMetricHistory, getRun } from '../../src/tracking/tracking-contract.ts'

export type Execution = OutputOf<typeof getExecution>
export type Node = Execution['nodes'][number]
export type Verdict = OutputOf<typeof getVerdict>
export type Deployment = OutputOf<typeof getDeployment>
export type Promotion = OutputOf<typeof getPromotion>
export type Monitored = OutputOf<typeof getMonitoring>['environments'][number]
export type Retraining = OutputOf<typeof getRetraining>['environments'][number]
export type Version = OutputOf<typeof listVersions>['items'][number]
export type Story = OutputOf<typeof whyVersion>
export type Run = OutputOf<typeof getRun>
export type Point = OutputOf<typeof getMetricHistory>['items'][number]
export type Overview = OutputOf<typeof getOverview>
type Feature = NonNullable<Monitored['report']>['features'][number]

/** Everything that the fixture server answers from, in the contracts' own types. */
export type Scenario = {
  projects: OutputOf<typeof listProjects>['items']
  executions: Execution[]
  logs: Record<string, { text: string; ended: boolean }>
  verdicts: Verdict[]
  promotions: Promotion[]
  deployments: Deployment[]
  gateway: OutputOf<typeof getGateway>
  monitored: Monitored[]
  retraining: Retraining[]
  versions: Version[]
  stories: Story[]
  runs: Run[]
  points: Record<string, Point[]>
  next: Overview['next']
  scheduled: Overview['scheduled']
}

export const project = 'tumour-classifier'
const minute = 60_000

const hex = (seed: string, length: number): string => {
  let state = 2166136261
  let text = ''
  while (text.length < length) {
    for (const letter of seed) state = Math.imul(state ^ letter.charCodeAt(0), 16777619)
    text += (state >>> 0).toString(16).padStart(8, '0')
  }
  return text.slice(0, length)
}
export const digest = (seed: string): string => `sha256:${hex(seed, 64)}`
export const commitId = (seed: string): string => hex(seed, 40)
export const uuid = (seed: string): string => {
  const h = hex(seed, 32)
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-7${h.slice(13, 16)}-8${h.slice(17, 20)}-${h.slice(20)}`
}

const empty = (): Scenario => ({
  projects: [],
  executions: [],
  logs: {},
  verdicts: [],
  promotions: [],
  deployments: [],
  gateway: { answers: true, startedAt: 0, memory: { used: 0 }, journal: { written: 0, dropped: 0 } },
  monitored: [],
  retraining: [],
  versions: [],
  stories: [],
  runs: [],
  points: {},
  next: { sentence: 'Connect a repository and push.', who: 'you', command: 'modelwright init' },
  scheduled: [],
})

type NodeDraft = Pick<Node, 'id' | 'after' | 'state'> & Partial<Node>

function node(draft: NodeDraft, reasons: string[]): Node {
  const runs = draft.state !== 'waiting' && draft.state !== 'reused'
  return {
    kind: 'step',
    step: draft.id,
    attempt: runs ? 1 : 0,
    decision:
      draft.state === 'reused'
        ? { outcome: 'reused', key: digest(draft.id), reasons }
        : draft.state === 'waiting'
          ? { outcome: 'decided later', after: draft.after, reasons }
          : { outcome: 'runs', key: digest(draft.id), reasons },
    ...(runs ? { runId: hex(`run ${draft.id}`, 32) } : {}),
    ...draft,
  }
}

type ExecutionDraft = { seed: string; subject: string; createdAt: number; nodes: Node[] } & Partial<Execution>

function execution(draft: ExecutionDraft): Execution {
  const { seed, ...rest } = draft
  return {
    id: uuid(seed),
    project,
    commit: commitId(seed),
    trigger: { kind: 'push', branch: 'main', actor: 'mira' },
    deployable: true,
    set: {},
    state: 'succeeded',
    requestedBy: 'mira',
    startedAt: draft.createdAt + 400,
    author: 'Mira Okafor',
    data: [{ dataset: 'biopsies', path: 'data/biopsies.csv', digest: digest('biopsies'), size: 124_571 }],
    ...rest,
  }
}

function pipeline(at: number, over: Partial<Record<string, Partial<Node>>> = {}): Node[] {
  const reused = ['nothing that it depends on changed since commit 4f0c11d2']
  return [
    node({ id: 'environment', kind: 'environment', after: [], state: 'reused', ...over.environment }, [
      'the lock of requirements.txt is the same',
    ]),
    node({ id: 'prepare', after: ['environment'], state: 'reused', ...over.prepare }, reused),
    node(
      {
        id: 'train',
        after: ['environment', 'prepare'],
        state: 'succeeded',
        startedAt: at + 900,
        endedAt: at + 21_300,
        metrics: { train_loss: 0.0412 },
        model: { name: project, loggedModelId: `m-${hex('m', 32)}` },
        ...over.train,
      },
      ['src/train.py changed', 'parameter depth: 3 → 5'],
    ),
    node(
      {
        id: 'evaluate',
        after: ['environment', 'prepare', 'train'],
        state: 'succeeded',
        startedAt: at + 21_400,
        endedAt: at + 25_100,
        metrics: { auc: 0.9871, recall: 0.953, f1: 0.948 },
        ...over.evaluate,
      },
      ['model:tumour-classifier changed'],
    ),
    node(
      {
        id: 'evaluate@champion',
        step: 'evaluate',
        kind: 'champion evaluation',
        after: ['environment', 'prepare', 'train'],
        state: 'succeeded',
        startedAt: at + 21_400,
        endedAt: at + 24_700,
        metrics: { auc: 0.981, recall: 0.947, f1: 0.941 },
        ...over['evaluate@champion'],
      },
      ['the champion, version 2, is evaluated anew on the same rows'],
    ),
  ]
}

function verdict(of: Execution, outcome: Verdict['outcome'], auc: number, champion: number | undefined): Verdict {
  const held = auc >= 0.95
  const heldChampion = champion === undefined ? undefined : auc >= champion - 0.005
  return {
    id: uuid(`verdict ${of.id}`),
    project,
    executionId: of.id,
    model: project,
    outcome,
    score: outcome === 'pass' ? 100 : outcome === 'warn' ? 82.5 : 38.2,
    reasons:
      outcome === 'fail'
        ? ['The key objective evaluate.auc failed.', 'Score 38.2 of 100 is below 75.']
        : [
            'All objectives hold.',
            `Score ${outcome === 'pass' ? '100' : '82.5'} of 100 reaches ${outcome === 'pass' ? '90' : '75'}.`,
          ],
    objectives: [
      {
        metric: 'evaluate.auc',
        outcome: outcome === 'fail' ? 'fail' : 'pass',
        value: auc,
        champion,
        bounds: [
          { text: '>= 0.95', level: 'pass', target: 0.95, held },
          {
            text: '>= champion - 0.005',
            level: 'pass',
            target: champion === undefined ? null : champion - 0.005,
            held: heldChampion,
          },
          { text: '>= 0.93', level: 'warn', target: 0.93, held: auc >= 0.93 },
        ],
        score: outcome === 'fail' ? 0 : 1,
        weight: 1,
        key: true,
        reason:
          outcome === 'fail'
            ? `${auc} is neither at least 0.95 nor within 0.005 of the champion's ${champion}.`
            : 'Both pass bounds hold.',
      },
      {
        metric: 'evaluate.recall',
        outcome: outcome === 'fail' ? 'warn' : 'pass',
        value: outcome === 'fail' ? 0.902 : 0.953,
        champion: champion === undefined ? undefined : 0.947,
        bounds: [{ text: '>= 0.92', level: 'pass', target: 0.92, held: outcome !== 'fail' }],
        score: outcome === 'fail' ? 0.5 : 1,
        weight: 1,
        key: false,
        reason: outcome === 'fail' ? '0.902 is below 0.92, and above 0.9.' : '0.953 is at least 0.92.',
      },
      {
        metric: 'serving.p99_ms',
        outcome: 'pass',
        value: 11.4,
        champion: champion === undefined ? undefined : 12.1,
        bounds: [{ text: '<= 20', level: 'pass', target: 20, held: true }],
        score: 1,
        weight: 1,
        key: false,
        reason: '11.4 is at most 20.',
      },
      {
        metric: 'evaluate.f1',
        outcome: 'info',
        value: 0.948,
        champion: champion === undefined ? undefined : 0.941,
        bounds: [],
        score: 0,
        weight: 0,
        key: false,
        reason: 'It informs and does not count.',
      },
    ],
    ruleVersion: 'gate/1',
    inputsDigest: digest('facts'),
    at: of.endedAt ?? of.createdAt,
  }
}

const versionName = (version: number) => ({ digest: digest(`version ${version}`), version })

function version(number: number, of: Execution, judged: Verdict, rest: Partial<Version> = {}): Version {
  return {
    model: project,
    ...versionName(number),
    executionId: of.id,
    verdictId: judged.id,
    verdict: judged.outcome,
    createdAt: judged.at,
    serves: [],
    declared: [],
    barred: [],
    ...rest,
  }
}

function story(of: Version, made: Execution, judged: Verdict): Story {
  return {
    project,
    model: project,
    version: of.version,
    digest: of.digest,
    createdAt: of.createdAt,
    modelTree: digest(`tree ${of.version}`),
    contentDigest: digest(`content ${of.version}`),
    seed: 7,
    params: { train: { depth: 5, learning_rate: 0.1 }, prepare: { test_share: 0.25 } },
    run: {
      id: hex('run train', 32),
      name: 'train',
      status: 'FINISHED',
      startedAt: made.createdAt + 900,
      endedAt: made.createdAt + 21_300,
      params: { depth: '5', learning_rate: '0.1' },
      metrics: { train_loss: 0.0412, auc: 0.9871, recall: 0.953 },
    },
    execution: made,
    commit: { id: made.commit, author: made.author, subject: made.subject, at: made.createdAt },
    data: [
      {
        dataset: 'biopsies',
        digest: digest('biopsies joined'),
        rows: 512,
        origin: 'joined',
        text: 'data/biopsies.csv with labelled predictions of production',
        parts: [
          { digest: digest('biopsies'), rows: 426, origin: 'git', text: 'from data/biopsies.csv at this commit' },
          {
            digest: digest('labelled'),
            rows: 86,
            origin: 'labelled predictions',
            text: 'labelled predictions of production',
          },
        ],
      },
    ],
    environment: { digest: digest('lock'), python: '3.12.4', packages: 38 },
    verdict: judged,
  }
}

function promotion(of: Version, at: number, rest: Partial<Promotion> = {}): Promotion {
  return {
    id: uuid(`promotion ${of.version}`),
    project,
    environment: 'production',
    model: project,
    version: of.version,
    digest: of.digest,
    kind: 'promotion',
    state: 'committed',
    waitsForPerson: false,
    executionId: of.executionId,
    verdictId: of.verdictId,
    verdictOutcome: of.verdict,
    reasons: ['Its gate passed, and the file says automatic.'],
    proposalBranch: `modelwright/promote/production-${of.version}`,
    commit: commitId(`promote ${of.version}`),
    createdAt: at,
    updatedAt: at + 800,
    ...rest,
  }
}

type Endpoint = NonNullable<Deployment['endpoint']>
type Served = Endpoint['versions'][number]

const proved =
  'parity on 50 rows of its input example, 426 of its data and 812 on the thresholds of its trees, largest difference 4.2e-8 (at most 0.00001), by skl2onnx 1.20.0, onnx 1.19.1, onnxruntime 1.23.2'

const served = (number: number, rest: Partial<Served> = {}): Served => ({
  ...{ ...versionName(number), weight: 1, state: 'ready', computes: 'onnx', computesReason: proved },
  ...rest,
})

const byPython: Partial<Served> = {
  computes: 'python',
  computesReason: 'not converted: its flavour is pyfunc. Log it as a model of scikit-learn, XGBoost or LightGBM.',
  workers: [
    { pid: 40_711, state: 'ready', memoryBytes: 212_400_000 },
    { pid: 40_719, state: 'ready', memoryBytes: 208_900_000 },
  ],
}

const quiet = (at: number, versions: Served[]): Endpoint => ({
  ...{ countedSince: at, versions, requests: { inside: 0, waiting: 0, turnedAway: 0 } },
  inputs: { refused: {}, warned: {}, imputed: 0 },
})

const conversion = (at: number): NonNullable<Story['conversion']> => ({
  ...{ outcome: 'converted', text: `ONNX; ${proved}`, at },
  proof: {
    ...{
      rows: 50,
      rowsFrom: 'input example',
      dataRows: 426,
      thresholdRows: 812,
      largestDifference: 4.2e-8,
      tolerance: 1e-5,
      ties: 0,
    },
    versions: { skl2onnx: '1.20.0', onnx: '1.19.1', onnxruntime: '1.23.2', 'scikit-learn': '1.7.2' },
  },
})

const notConverted = (at: number): NonNullable<Story['conversion']> => {
  const reason = 'its flavour is pyfunc. Log it as a model of scikit-learn, XGBoost or LightGBM.'
  return { outcome: 'refused', text: `Python; not converted: ${reason}`, reason, at }
}

type Rollout = Deployment['rollouts'][number]

function rollout(newcomer: number, old: number | undefined, at: number, rest: Partial<Rollout> = {}): Rollout {
  return {
    id: uuid(`rollout ${newcomer}`),
    project,
    environment: 'production',
    model: project,
    newcomer: versionName(newcomer),
    ...(old === undefined ? {} : { old: versionName(old) }),
    commit: commitId(`promote ${newcomer}`),
    state: 'done',
    step: 2,
    canary: [0.05, 0.25, 1],
    everyMs: 10 * minute,
    minRequests: 200,
    stepSince: at + 3 * minute,
    createdAt: at,
    updatedAt: at + 30 * minute,
    decisions: [
      {
        at: at + minute,
        outcome: 'begin',
        reasons: [`version ${newcomer} is loaded and takes 5 %`],
        ruleVersion: 'rollout/1',
        inputsDigest: digest('a'),
      },
      {
        at: at + 11 * minute,
        outcome: 'advance',
        reasons: ['231 requests, 0 % errors (bound > 1 %)'],
        ruleVersion: 'rollout/1',
        inputsDigest: digest('b'),
      },
      {
        at: at + 21 * minute,
        outcome: 'finish',
        reasons: ['1,204 requests, 0.1 % errors (bound > 1 %)'],
        ruleVersion: 'rollout/1',
        inputsDigest: digest('c'),
      },
    ],
    ...rest,
  }
}

function deployment(serving: number | undefined, at: number, rest: Partial<Deployment> = {}): Deployment {
  return {
    project,
    environment: 'production',
    state: 'serving',
    since: at,
    ...(serving === undefined
      ? { desired: { model: project } }
      : {
          desired: { model: project, ...versionName(serving) },
          serving: { model: project, ...versionName(serving) },
        }),
    weights: serving === undefined ? [] : [{ ...versionName(serving), weight: 1, actual: 1, worker: 'ready' }],
    ...(serving === undefined ? {} : { endpoint: quiet(at, [served(serving)]) }),
    rollouts: [],
    desiredHistory:
      serving === undefined
        ? []
        : [
            {
              model: project,
              ...versionName(serving),
              commit: commitId(`promote ${serving}`),
              actor: 'modelwright',
              origin: 'modelwright',
              at,
            },
          ],
    ...rest,
  }
}

const names = ['mean_radius', 'mean_concavity', 'mean_area', 'mean_texture', 'mean_smoothness', 'mean_symmetry']
// Shares over the reference's deciles: the more drift, the more of them slid to the right.
const slid = (by: number): number[] => {
  const raw = Array.from({ length: 10 }, (_, i) => Math.exp((by * (i - 4.5)) / 4.5))
  const total = raw.reduce((sum, value) => sum + value, 0)
  return raw.map((value) => value / total)
}

function features(drifting: number): Feature[] {
  return names.map((feature, i) => {
    const drifts = i < drifting
    const current = slid(drifts ? 1.9 - i * 0.4 : 0.08 * (i + 1))
    const psi = current.reduce((sum, share) => sum + (share - 0.1) * Math.log(share / 0.1), 0)
    return {
      feature,
      kind: 'numeric',
      outcome: drifts ? 'drift' : 'no drift',
      reasons: [
        drifts
          ? `PSI ${psi.toPrecision(3)}, beyond the bound > 0.2.`
          : `PSI ${psi.toPrecision(3)}, within the bound > 0.2.`,
      ],
      psi,
      ks: { statistic: 0.31 / (i + 1), pValue: drifts ? 1e-9 : 0.31 },
      jensenShannon: 0.1,
      missing: { reference: 0, current: i === 3 ? 0.012 : 0, pValue: 0.4 },
      newCategories: [],
      newCategoryShare: 0,
      n: 640,
      present: 640,
      chart: {
        kind: 'numeric',
        edges: [10.3, 11.4, 12.1, 12.8, 13.4, 14.2, 15.1, 16.9, 19.4].map((edge) => edge * (i + 1)),
        reference: Array(10).fill(0.1),
        current,
      },
      summary: {
        reference: { count: 426, mean: 14.13, std: 3.52, min: 6.98, max: 28.1 },
        current: { count: 640, mean: drifts ? 17.41 : 14.2, std: 3.9, min: 7.7, max: 28.1 },
      },
    }
  })
}

function monitored(serving: number, now: number, drifting: number): Monitored {
  const drift = drifting > 0
  const which = names.slice(0, drifting)
  return {
    environment: 'production',
    model: project,
    ...versionName(serving),
    bounds: [{ statistic: 'psi', comparator: '>', bound: 0.2 }],
    report: {
      id: uuid('report'),
      ...versionName(serving),
      at: now - 2 * minute,
      outcome: drift ? 'drift' : 'no drift',
      reasons: drift
        ? which.map((feature) => `${feature}: PSI is beyond the bound > 0.2.`)
        : ['No feature of 6 is beyond a bound.'],
      ruleVersion: 'drift/1',
      inputsDigest: digest('window'),
      window: {
        fromMs: now - 62 * minute,
        toMs: now - 2 * minute,
        rows: 640,
        answered: 640,
        inputFailures: 3,
        inputFailureShare: 0.0047,
        errors: 0,
      },
      labels: 86,
      quality: {
        n: 86,
        metrics: { accuracy: { value: 0.919, n: 86, interval: { low: 0.841, high: 0.96 } } },
        delayMs: { median: 95_000, max: 400_000 },
        reasons: [],
      },
      features: features(drifting),
    },
    alerts: drift
      ? [
          {
            id: uuid('alert'),
            project,
            environment: 'production',
            model: project,
            ...versionName(serving),
            kind: 'drift',
            subject: 'psi > 0.2',
            features: which,
            reasons: [`${which[0]}: PSI 0.85, beyond the bound > 0.2.`],
            openedAt: now - 3 * minute,
            updatedAt: now - 2 * minute,
          },
        ]
      : [],
  }
}

function retraining(now: number, made: Execution, cause: string): Retraining {
  return {
    environment: 'production',
    on: ['drift', 'accuracy < 0.9', 'every monday 06:00'],
    cooldown: { ms: 60 * minute, until: now + 12 * minute },
    budget: { count: 1, perMs: 1440 * minute, left: 0 },
    schedules: [{ text: 'every monday 06:00', cron: '0 6 * * 1', nextAt: now + 2_880 * minute }],
    open: [
      { cause, outcome: 'wait', reasons: ['drift in mean_radius asks for it', 'the cool-down is over in 12 m 0 s'] },
    ],
    retrainings: [
      {
        id: uuid('retraining'),
        project,
        environment: 'production',
        cause: 'drift in mean_radius, mean_concavity',
        trigger: { kind: 'drift', environment: 'production', features: ['mean_radius', 'mean_concavity'] },
        requestedBy: 'modelwright',
        decidedAt: now - 300 * minute,
        state: 'started',
        frozen: [{ dataset: 'biopsies', digest: digest('biopsies joined'), rows: 512 }],
        executionId: made.id,
        startedAt: now - 300 * minute,
      },
    ],
    decisions: [],
  }
}

function run(of: Node, made: Execution): Run {
  return {
    id: of.runId!,
    experimentId: '1',
    name: of.id,
    status: of.endedAt === undefined ? 'RUNNING' : of.state === 'failed' ? 'FAILED' : 'FINISHED',
    user: 'mira',
    startedAt: of.startedAt!,
    ...(of.endedAt === undefined ? {} : { endedAt: of.endedAt }),
    deleted: false,
    params: of.id === 'train' ? { depth: '5', learning_rate: '0.1', subsample: '0.8', trees: '400' } : {},
    tags: { 'modelwright.project': project, 'modelwright.execution': made.id, 'modelwright.step': of.id },
    metrics: Object.fromEntries(
      Object.entries(of.metrics ?? {}).map(([name, value]) => [name, { value, step: 0, timestamp: of.startedAt! }]),
    ),
    datasets: [],
    loggedModels: [],
  }
}

/** A loss that falls and an accuracy that rises, with the noise of a real run. */
function curve(steps: number, value: (i: number) => number, at: number): Point[] {
  return Array.from({ length: steps }, (_, i) => ({
    step: i,
    timestamp: at + i * 400,
    value: i === 17 ? 'NaN' : value(i),
  }))
}

const trainLog = (lines: number): string => {
  const text = ['\u001b[1mTraining\u001b[0m a gradient boosting classifier, depth 5, 400 trees', 'rows 426, columns 30']
  for (let i = 0; i < lines; i++)
    text.push(
      `\u001b[36m[${String(i).padStart(4, '0')}]\u001b[0m loss=${(0.69 * Math.exp(-i / 90) + 0.03).toFixed(5)} \u001b[32macc=${(0.6 + 0.38 * (1 - Math.exp(-i / 60))).toFixed(4)}\u001b[0m`,
    )
  return `${text.join('\n')}\n`
}

const noise = (i: number): number => Math.sin(i * 12.9898) * 0.5 + Math.sin(i * 4.1414) * 0.5

function withRuns(scenario: Scenario): Scenario {
  for (const made of scenario.executions)
    for (const box of made.nodes) {
      if (!box.runId || box.startedAt === undefined || scenario.runs.some(({ id }) => id === box.runId)) continue
      const own = run(box, made)
      if (box.id === 'train') {
        const steps = box.endedAt === undefined ? 60 : 200
        const points = {
          loss: curve(steps, (i) => 0.69 * Math.exp(-i / 40) + 0.03 + 0.015 * noise(i), box.startedAt),
          accuracy: curve(steps, (i) => 0.6 + 0.38 * (1 - Math.exp(-i / 30)) + 0.008 * noise(i + 3), box.startedAt),
        }
        for (const [name, list] of Object.entries(points)) {
          scenario.points[`${own.id} ${name}`] = list
          own.metrics[name] = list.at(-1)!
        }
      }
      scenario.runs.push(own)
    }
  return scenario
}

const connected = (now: number) => ({
  name: project,
  branch: 'main',
  createdAt: now - 90 * minute,
  head: commitId('third'),
})

export const scenarios = {
  /** A server with nothing in it. */
  empty,

  /** Connected, and nothing pushed. */
  connected: (now: number): Scenario => ({
    ...empty(),
    projects: [{ name: project, branch: 'main', createdAt: now - minute }],
    next: { sentence: 'Push a commit.', who: 'you', command: 'git push modelwright main' },
  }),

  firstRun: (now: number): Scenario => {
    const at = now - 14_000
    const first = execution({
      seed: 'first',
      subject: 'Train a first classifier',
      createdAt: at,
      state: 'running',
      nodes: pipeline(at, {
        environment: {
          state: 'succeeded',
          startedAt: at + 300,
          endedAt: at + 6_100,
          decision: { outcome: 'runs', reasons: ['no environment of this lock was made yet'] },
        },
        prepare: {
          state: 'succeeded',
          startedAt: at + 6_200,
          endedAt: at + 7_900,
          decision: { outcome: 'runs', reasons: ['no result of this step is kept'] },
        },
        train: {
          state: 'running',
          attempt: 1,
          startedAt: at + 8_000,
          endedAt: undefined,
          metrics: undefined,
          model: undefined,
        },
        evaluate: {
          state: 'waiting',
          attempt: 0,
          startedAt: undefined,
          endedAt: undefined,
          metrics: undefined,
          decision: { outcome: 'decided later', after: ['train'], reasons: ['it depends on what train makes'] },
          runId: undefined,
        },
      }).filter(({ id }) => id !== 'evaluate@champion'),
    })
    return withRuns({
      ...empty(),
      projects: [connected(now)],
      executions: [first],
      logs: { train: { text: trainLog(60), ended: false } },
      deployments: [deployment(undefined, at, { state: 'nothing declared' })],
      next: { sentence: 'When evaluate has ended, the gate judges the candidate.', who: 'modelwright' },
    })
  },

  gateFailed: (now: number): Scenario => {
    const at = now - 9 * minute
    const first = execution({
      seed: 'first',
      subject: 'Train a first classifier',
      createdAt: now - 60 * minute,
      endedAt: now - 59 * minute,
      reason: '4 of 4 ran',
      nodes: pipeline(now - 60 * minute).filter(({ id }) => id !== 'evaluate@champion'),
    })
    const second = execution({
      seed: 'second',
      subject: 'Try a shallower tree',
      createdAt: at,
      endedAt: at + 26_000,
      reason: '3 of 5 ran',
      nodes: pipeline(at),
    })
    const failing = execution({
      seed: 'broken',
      subject: 'Rename a column',
      createdAt: now - 30 * minute,
      endedAt: now - 29 * minute,
      state: 'failed',
      reason: 'train failed',
      nodes: pipeline(now - 30 * minute, {
        train: {
          state: 'failed',
          metrics: undefined,
          model: undefined,
          error: {
            code: 'StepFailed',
            message: 'Step "train" ended with exit code 1.',
            next: 'Read its log: modelwright logs 01 train',
            place: { file: 'src/train.py', line: 31 },
          },
        },
        evaluate: { state: 'skipped', metrics: undefined, startedAt: undefined, endedAt: undefined },
        'evaluate@champion': { state: 'skipped', metrics: undefined, startedAt: undefined, endedAt: undefined },
      }),
    })
    const passed = verdict(first, 'pass', 0.981, undefined)
    const refused = verdict(second, 'fail', 0.921, 0.981)
    const serving = version(1, first, passed, {
      serves: [{ environment: 'production', weight: 1 }],
      declared: ['production'],
    })
    return withRuns({
      ...empty(),
      projects: [connected(now), { name: 'credit-risk', branch: 'main', createdAt: now - 500 * minute }],
      executions: [second, failing, first],
      logs: {
        train: {
          text: `${trainLog(220)}Traceback (most recent call last):\n  File "src/train.py", line 31, in <module>\n    y = rows["diagnosis"]\nKeyError: 'diagnosis'\n`,
          ended: true,
        },
        evaluate: { text: 'auc 0.921\nrecall 0.902\n', ended: true },
        'evaluate@champion': { text: 'auc 0.981\n', ended: true },
      },
      verdicts: [refused, passed],
      promotions: [promotion(serving, now - 58 * minute)],
      deployments: [
        deployment(1, now - 57 * minute, {
          rollouts: [
            rollout(1, undefined, now - 58 * minute, { straight: 'nothing served before', step: 0, decisions: [] }),
          ],
        }),
      ],
      monitored: [monitored(1, now, 0)],
      versions: [serving],
      stories: [story(serving, first, passed)],
      next: {
        sentence:
          'The gate refused the candidate, so version 1 goes on serving. A push with a better model is judged anew.',
        who: 'nobody',
      },
      scheduled: [{ environment: 'production', what: 'retraining, every monday 06:00', at: now + 2_880 * minute }],
    })
  },

  canary: (now: number): Scenario => {
    const at = now - 26 * minute
    const second = execution({
      seed: 'second',
      subject: 'Train on more rows',
      createdAt: now - 300 * minute,
      endedAt: now - 299 * minute,
      reason: '4 of 5 ran',
      nodes: pipeline(now - 300 * minute),
    })
    const third = execution({
      seed: 'third',
      subject: 'Deeper trees, slower learning',
      createdAt: at,
      endedAt: at + 26_000,
      reason: '3 of 5 ran',
      nodes: pipeline(at),
    })
    const passed = verdict(third, 'pass', 0.9871, 0.981)
    const before = verdict(second, 'pass', 0.981, 0.975)
    const newcomer = version(3, third, passed, {
      serves: [{ environment: 'production', weight: 0.25 }],
      declared: ['production'],
    })
    const old = version(2, second, before, { serves: [{ environment: 'production', weight: 0.75 }] })
    const way = rollout(3, 2, at + minute, {
      state: 'step',
      step: 1,
      updatedAt: now - minute,
      stepSince: now - 4 * minute,
    })
    way.decisions.pop()
    return withRuns({
      ...empty(),
      projects: [connected(now)],
      executions: [third, second],
      logs: {
        train: { text: trainLog(200), ended: true },
        evaluate: { text: 'auc 0.9871\nrecall 0.953\n', ended: true },
      },
      verdicts: [passed, before],
      promotions: [promotion(newcomer, at + 30_000), promotion(old, now - 298 * minute)],
      deployments: [
        deployment(2, now - 25 * minute, {
          state: 'progressing',
          desired: { model: project, ...versionName(3) },
          weights: [
            { ...versionName(2), weight: 0.75, actual: 0.75, worker: 'ready' },
            { ...versionName(3), weight: 0.25, actual: 0.25, worker: 'ready' },
          ],
          endpoint: {
            ...quiet(now - 300 * minute, [served(2, { ...byPython, weight: 0.75 }), served(3, { weight: 0.25 })]),
            requests: { inside: 3, waiting: 0, turnedAway: 0 },
            inputs: { refused: { range: 3 }, warned: {}, imputed: 0 },
          },
          rollout: {
            ...way,
            traffic: {
              newcomer: { requests: 148, failed: 0, inputRefused: 1 },
              old: { requests: 442, failed: 1, inputRefused: 2 },
            },
            next: '148 of 200 requests; the step ends in 6 m 0 s at the earliest',
          },
          rollouts: [way, rollout(2, 1, now - 297 * minute)],
        }),
      ],
      monitored: [monitored(2, now, 3)],
      retraining: [retraining(now, second, 'drift of this hour')],
      versions: [newcomer, old],
      stories: [
        { ...story(newcomer, third, passed), conversion: conversion(at + 2 * minute) },
        { ...story(old, second, before), conversion: notConverted(now - 298 * minute) },
      ],
      gateway: {
        ...{ answers: true, startedAt: now - 300 * minute },
        memory: { used: 472_300_000, budget: 4_000_000_000 },
        journal: { written: 18_204, dropped: 0 },
      },
      next: {
        sentence: 'The canary of version 3 goes to 100 % when it has answered 200 requests within its bounds.',
        who: 'modelwright',
      },
      scheduled: [
        {
          environment: 'production',
          what: 'retraining for the drift in mean_radius, after its cool-down',
          at: now + 12 * minute,
        },
      ],
    })
  },

  waiting: (now: number): Scenario => {
    const at = now - 40 * minute
    const third = execution({
      seed: 'third',
      subject: 'Retrain with the rows of the new clinic',
      createdAt: at,
      endedAt: at + 26_000,
      reason: '5 of 5 ran',
      trigger: {
        kind: 'drift',
        environment: 'production',
        alert: uuid('alert'),
        features: ['mean_radius', 'mean_concavity'],
      },
      requestedBy: 'modelwright',
      author: 'Modelwright',
      nodes: pipeline(at),
    })
    const warned = verdict(third, 'warn', 0.958, 0.961)
    const newcomer = version(4, third, warned)
    const second = execution({
      seed: 'second',
      subject: 'Train on more rows',
      createdAt: now - 300 * minute,
      endedAt: now - 299 * minute,
      nodes: pipeline(now - 300 * minute),
    })
    const before = verdict(second, 'pass', 0.961, 0.955)
    const old = version(2, second, before, { serves: [{ environment: 'production', weight: 1 }], declared: [] })
    const aborted = version(3, second, before, {
      declared: ['production'],
      barred: [{ environment: 'production', reason: 'its error rate of 3.1 % was beyond > 1 %' }],
    })
    const way = rollout(3, 2, now - 90 * minute, {
      state: 'stalled',
      step: 0,
      reason: 'error rate 3.1 % is beyond > 1 % (7 of 226 requests)',
      stallCause: 'error rate',
    })
    way.decisions = [
      way.decisions[0]!,
      {
        at: now - 80 * minute,
        outcome: 'roll back',
        reasons: ['error rate 3.1 % is beyond > 1 % (7 of 226 requests)'],
        ruleVersion: 'rollout/1',
        inputsDigest: digest('d'),
      },
      {
        at: now - 80 * minute + 900,
        outcome: 'stall',
        reasons: ['the bar and the proposed revert are written'],
        ruleVersion: 'rollout/1',
        inputsDigest: digest('e'),
      },
    ]
    return withRuns({
      ...empty(),
      projects: [connected(now)],
      executions: [third, second],
      logs: { train: { text: trainLog(200), ended: true } },
      verdicts: [warned, before],
      promotions: [
        promotion(newcomer, at + 30_000, {
          state: 'proposed',
          waitsForPerson: true,
          approver: 'reviewer',
          reasons: ['Its gate warned, so a person decides.'],
        }),
        promotion(aborted, now - 91 * minute, { state: 'barred', note: 'aborted by its error rate' }),
        promotion(old, now - 298 * minute, { decidedBy: 'mira' }),
      ],
      deployments: [
        deployment(2, now - 80 * minute, {
          state: 'stalled',
          reason: 'error rate 3.1 % is beyond > 1 % (7 of 226 requests); version 2 goes on serving',
          desired: { model: project, ...versionName(3) },
          rollouts: [way, rollout(2, 1, now - 297 * minute)],
          desiredHistory: [
            {
              model: project,
              ...versionName(3),
              commit: commitId('promote 3'),
              actor: 'modelwright',
              origin: 'modelwright',
              at: now - 91 * minute,
            },
            {
              model: project,
              ...versionName(2),
              commit: commitId('promote 2'),
              actor: 'mira',
              origin: 'push',
              at: now - 297 * minute,
            },
          ],
        }),
      ],
      monitored: [monitored(2, now, 2)],
      versions: [newcomer, aborted, old],
      stories: [story(newcomer, third, warned), story(aborted, second, before), story(old, second, before)],
      next: {
        sentence: 'A reviewer approves version 4 for production, or merges its branch.',
        who: 'you',
        command: `modelwright approve ${uuid('promotion 4')}`,
      },
    })
  },

  /** What the gateway tells of a day that did not go well. */
  crowded: (now: number): Scenario => {
    const made = execution({
      seed: 'second',
      subject: 'Train on more rows',
      createdAt: now - 300 * minute,
      endedAt: now - 299 * minute,
      nodes: pipeline(now - 300 * minute),
    })
    const judged = verdict(made, 'pass', 0.981, 0.975)
    const places = ['production', 'staging', 'research'].map((environment) => ({ environment, weight: 1 }))
    const serving = version(2, made, judged, { serves: places, declared: places.map(({ environment }) => environment) })
    const at = now - 297 * minute
    const idle = {
      ...({ state: 'asleep', cause: 'idle', since: now - 40 * minute } as const),
      reason: 'Nobody asked for a while; a request loads it.',
    } satisfies Partial<Served>
    const tooLarge: Partial<Served> = {
      ...{ state: 'failed', cause: 'too large', computes: 'python', computesReason: 'The graph does not load.' },
      reason: 'It takes 5.2 GB of memory; all models together may take 4.0 GB (--serving-memory).',
    }
    return withRuns({
      ...empty(),
      projects: [connected(now)],
      executions: [made],
      verdicts: [judged],
      promotions: [promotion(serving, now - 298 * minute)],
      deployments: [
        deployment(2, at, {
          endpoint: {
            countedSince: at,
            versions: [
              served(2, {
                ...byPython,
                computesReason: 'not converted: It took longer than 5 m 0 s (--convert-limit).',
                workers: [
                  { pid: 40_711, state: 'ready', memoryBytes: 1_212_400_000 },
                  { pid: 40_719, state: 'restarting' },
                ],
                replacedForMemory: 3,
              }),
            ],
            requests: { inside: 8, waiting: 211, turnedAway: 1_204 },
            inputs: {
              refused: { range: 1_310, missing: 42, 'missing-column': 7 },
              warned: { 'unknown-column': 12 },
              imputed: 318,
            },
          },
        }),
        deployment(2, at, {
          environment: 'research',
          weights: [{ ...versionName(2), weight: 1, actual: 1, worker: 'asleep' }],
          endpoint: quiet(at, [served(2, idle)]),
        }),
        deployment(2, at, {
          environment: 'staging',
          state: 'mismatch',
          reason: `version 2 is failed (${tooLarge.reason})`,
          weights: [{ ...versionName(2), weight: 1, actual: 0, worker: 'failed' }],
          endpoint: quiet(at, [served(2, { ...tooLarge, weight: 0 })]),
        }),
      ],
      gateway: {
        ...{ answers: true, startedAt: at, processes: { of: 3, answering: [1, 3] } },
        memory: { used: 3_871_000_000, budget: 4_000_000_000 },
        journal: { written: 1_204_331, dropped: 17 },
        problem: 'desired.json is gone; the last one goes on.',
      },
      monitored: [monitored(2, now, 0)],
      versions: [serving],
      stories: [
        {
          ...story(serving, made, judged),
          conversion: {
            ...{ outcome: 'failed', reason: 'It took longer than 5 m 0 s (--convert-limit).', at },
            text: 'Python; not converted: It took longer than 5 m 0 s (--convert-limit).',
          },
        },
      ],
      next: {
        sentence: 'staging is not what Git declares; Modelwright heals it.',
        who: 'modelwright',
        command: 'modelwright why staging',
      },
    })
  },

  /** A version serves, and the gateway is away. */
  gatewayAway: (now: number): Scenario => {
    const { endpoint: _, ...alone } = deployment(2, now - 60 * minute, {
      state: 'mismatch',
      reason: 'the gateway does not answer',
      weights: [{ ...versionName(2), weight: 1 }],
    })
    return {
      ...empty(),
      projects: [connected(now)],
      deployments: [alone],
      gateway: { answers: false },
      next: { sentence: 'production is not what Git declares: the gateway does not answer.', who: 'modelwright' },
    }
  },
} as const satisfies Record<string, (now: number) => Scenario>

export type ScenarioName = keyof typeof scenarios
