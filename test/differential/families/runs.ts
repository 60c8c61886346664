import { filter, type Grammar, orderBy, pageSize } from '../filters.ts'
import type { Call, Family, World } from '../world.ts'
import { pick, tagPairs } from './experiments.ts'

const root = '/api/2.0/mlflow/runs'

const metric = (world: World) => ({
  key: world.values.key(),
  value: world.values.number(),
  timestamp: world.values.integer(),
  step: world.values.maybe(0.8, () => world.values.integer()),
})
const goodMetric = (world: World) => ({
  key: world.values.of(['a', 'b', 'loss']),
  value: world.values.chance(0.8)
    ? world.values.below(5)
    : world.values.of(['NaN', 'Infinity', '-Infinity', -1.5, 1e300]),
  timestamp: world.values.below(9),
  step: world.values.below(4) - 1,
})
const param = (world: World) => ({ key: world.values.key(), value: world.values.text() })

const runGrammar = (world: World): Grammar => ({
  numbers: [
    'metrics.a',
    'metric.b',
    'metrics.loss',
    'metrics.`m.1`',
    'start_time',
    'attributes.start_time',
    'end_time',
  ],
  texts: [
    'params.a',
    'param.b',
    'params.lr',
    'tags.a',
    'tag.b',
    'tags.`mlflow.runName`',
    'attributes.run_name',
    'status',
    'attribute.status',
    'user_id',
    'artifact_uri',
    'params."with space"',
    'dataset.name',
    'datasets.digest',
    'dataset.context',
    'Run Name',
  ],
  exact: ['run_id', 'attributes.run_id', 'dataset.name', 'datasets.digest', 'tags.a', 'params.a'],
  values: () => [...world.all('run').slice(-4), 'train', 'd1', 'FINISHED'],
  nullable: true,
})

const dataset = (world: World) => ({
  tags: world.values.maybe(0.6, () => [{ key: 'mlflow.data.context', value: world.values.of(['train', 'eval', '']) }]),
  dataset: world.values.chance(0.95)
    ? {
        name: world.values.chance(0.9) ? world.values.of(['train', 'test']) : world.values.text(),
        digest: world.values.chance(0.9) ? world.values.of(['d1', 'd2']) : world.values.text(),
        source_type: world.values.maybe(0.95, () => world.values.of(['local', 's3', ''])),
        source: world.values.maybe(0.95, () => world.values.text()),
        schema: world.values.maybe(0.3, () => world.values.text()),
        profile: world.values.maybe(0.3, () => world.values.text()),
      }
    : undefined,
})

const makers: [number, (world: World) => Call][] = [
  [
    3,
    (world) => ({
      method: 'POST',
      path: `${root}/create`,
      body: {
        experiment_id: world.id('experiment'),
        start_time: world.unique() * 1000,
        run_name: world.values.chance(0.7) ? world.values.text() : undefined,
        user_id: world.values.maybe(0.3, () => world.values.text()),
        tags: world.values.maybe(0.4, () => [
          ...tagPairs(world),
          ...(world.values.chance(0.2) ? [{ key: 'mlflow.runName', value: world.values.text() }] : []),
        ]),
      },
      makes: { kind: 'run', at: 'run.info.run_id' },
    }),
  ],
  [3, (world) => ({ method: 'GET', path: `${root}/get`, query: { run_id: world.id('run') } })],
  [
    2,
    (world) => ({
      method: 'POST',
      path: `${root}/update`,
      body: {
        run_id: world.id('run'),
        status: world.values.maybe(0.7, () =>
          world.values.of(['RUNNING', 'FINISHED', 'FAILED', 'KILLED', 'SCHEDULED', 3, 'DONE', '']),
        ),
        end_time: world.values.maybe(0.5, () => world.unique() * 1000),
        run_name: world.values.maybe(0.4, () => world.values.text()),
      },
    }),
  ],
  [1, (world) => ({ method: 'POST', path: `${root}/delete`, body: { run_id: world.id('run') } })],
  [1.5, (world) => ({ method: 'POST', path: `${root}/restore`, body: { run_id: world.id('run') } })],
  [3, (world) => ({ method: 'POST', path: `${root}/log-metric`, body: { run_id: world.id('run'), ...metric(world) } })],
  [
    2,
    (world) => ({ method: 'POST', path: `${root}/log-parameter`, body: { run_id: world.id('run'), ...param(world) } }),
  ],
  [
    2,
    (world) => ({
      method: 'POST',
      path: `${root}/set-tag`,
      body: {
        run_id: world.id('run'),
        key: world.values.chance(0.85)
          ? world.values.key()
          : world.values.of(['mlflow.runName', 'mlflow.user', 'mlflow.note.content', 'mlflow.parentRunId']),
        value: world.values.text(),
      },
    }),
  ],
  [
    1,
    (world) => ({
      method: 'POST',
      path: `${root}/delete-tag`,
      body: { run_id: world.id('run'), key: world.values.key() },
    }),
  ],
  [
    4,
    (world) => ({
      method: 'POST',
      path: `${root}/log-batch`,
      body: {
        run_id: world.id('run'),
        metrics: world.values.maybe(0.8, () =>
          world.values.some(5, () => (world.values.chance(0.9) ? goodMetric(world) : metric(world))),
        ),
        params: world.values.maybe(0.5, () => world.values.some(3, () => param(world))),
        tags: world.values.maybe(0.5, () => tagPairs(world, 3)),
      },
    }),
  ],
  [
    1,
    (world) => ({
      method: 'POST',
      path: `${root}/log-inputs`,
      body: {
        run_id: world.id('run'),
        datasets: world.values.maybe(0.9, () => world.values.some(2, () => dataset(world))),
        models: world.values.maybe(0.3, () => world.values.some(1, () => ({ model_id: world.id('loggedModel') }))),
      },
    }),
  ],
  [
    0.7,
    (world) => ({
      method: 'POST',
      path: `${root}/outputs`,
      body: {
        run_id: world.id('run'),
        models: world.values.some(2, () => ({ model_id: world.id('loggedModel'), step: world.values.below(4) })),
      },
    }),
  ],
  [
    7,
    (world) => ({
      method: 'POST',
      path: `${root}/search`,
      body: {
        experiment_ids: world.values.chance(0.95) ? [...world.all('experiment')] : world.ids('experiment', 2),
        filter: world.values.maybe(0.85, () => filter(world, runGrammar(world))),
        order_by: orderBy(world, [
          'metrics.a',
          'metrics.loss',
          'params.a',
          'params.`lr`',
          'tags.a',
          'start_time',
          'attributes.end_time',
          'run_name',
          'attribute.status',
          'metric.b',
          'Created',
          '`Start Time`',
        ]),
        run_view_type: world.values.maybe(0.4, () => world.values.of(['ACTIVE_ONLY', 'DELETED_ONLY', 'ALL', 2, 3])),
        max_results: pageSize(world),
      },
      paged: true,
    }),
  ],
  [
    0.5,
    (world) => ({
      method: 'POST',
      path: '/ajax-api/2.0/mlflow/experiments/search-datasets',
      body: {
        experiment_ids: world.values.chance(0.9)
          ? [...world.all('experiment')].slice(0, 19)
          : world.values.of([[], 'x', null, ['nope']]),
      },
    }),
  ],
]

export const runs: Family = { name: 'runs', weight: 6, call: (world) => pick(world, makers) }

const historyMakers: [number, (world: World) => Call][] = [
  [
    4,
    (world) => ({
      method: 'GET',
      path: '/api/2.0/mlflow/metrics/get-history',
      query: {
        run_id: world.id('run'),
        metric_key: world.values.chance(0.8) ? world.values.of(['a', 'b', 'loss']) : world.values.key(),
        ...(world.values.chance(0.6)
          ? { max_results: String(world.values.of([1, 2, 3, 0, -1, 25000, 25001, 'x'])) }
          : {}),
      },
      paged: true,
    }),
  ],
  [
    1.5,
    (world) => ({
      method: 'GET',
      path: '/ajax-api/2.0/mlflow/metrics/get-history-bulk',
      query: { run_id: world.id('run'), metric_key: world.values.of(['a', 'b', 'loss', '']) },
    }),
  ],
  [
    1.5,
    (world) => ({
      method: 'GET',
      path: '/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval',
      query: {
        run_ids: world.id('run'),
        metric_key: world.values.of(['a', 'b', 'loss', '']),
        ...(world.values.chance(0.5)
          ? { start_step: String(world.values.below(3) - 1), end_step: String(world.values.below(4)) }
          : {}),
        ...(world.values.chance(0.7) ? { max_results: String(world.values.of([1, 2, 3, 10, 0, 2500, 2501])) } : {}),
      },
    }),
  ],
]

export const histories: Family = { name: 'metrics', weight: 1.5, call: (world) => pick(world, historyMakers) }
