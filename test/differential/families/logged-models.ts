import { filter, pageSize } from '../filters.ts'
import type { Call, Family, World } from '../world.ts'
import { pick, tagPairs } from './experiments.ts'

const root = '/api/2.0/mlflow/logged-models'

const makers: [number, (world: World) => Call][] = [
  [
    3,
    (world) => ({
      method: 'POST',
      path: root,
      body: {
        experiment_id: world.id('experiment'),
        name: world.values.chance(0.85) ? world.values.of(['m1', 'm2', 'Model']) : world.values.text(),
        model_type: world.values.maybe(0.4, () => world.values.text()),
        source_run_id: world.values.maybe(0.5, () => world.id('run')),
        params: world.values.maybe(0.5, () => tagPairs(world)),
        tags: world.values.maybe(0.5, () => tagPairs(world)),
      },
      makes: { kind: 'loggedModel', at: 'model.info.model_id' },
    }),
  ],
  [
    3,
    (world) => ({
      method: 'GET',
      path: `${root}/${world.id('loggedModel')}`,
      ...(world.values.chance(0.3) ? { query: { allow_deleted: world.values.of(['true', 'false', 'x']) } } : {}),
    }),
  ],
  [
    1.5,
    (world) =>
      withModelId(world, {
        method: 'PATCH',
        path: `${root}/`,
        body: {
          status: world.values.of(['LOGGED_MODEL_READY', 'LOGGED_MODEL_UPLOAD_FAILED', 'LOGGED_MODEL_PENDING', 2]),
        },
      }),
  ],
  [0.7, (world) => ({ method: 'DELETE', path: `${root}/${world.id('loggedModel')}` })],
  [
    1,
    (world) => withModelId(world, { method: 'POST', path: `${root}/`, body: { params: tagPairs(world) } }, '/params'),
  ],
  [1.5, (world) => withModelId(world, { method: 'PATCH', path: `${root}/`, body: { tags: tagPairs(world) } }, '/tags')],
  [
    0.7,
    (world) => ({
      method: 'DELETE',
      path: `${root}/${world.id('loggedModel')}/tags/${world.values.of(['a', 'b', 'c', 'nope'])}`,
    }),
  ],
  [
    2,
    (world) => ({
      method: 'POST',
      path: '/api/2.0/mlflow/runs/log-metric',
      body: {
        run_id: world.id('run'),
        key: world.values.of(['a', 'b']),
        value: world.values.below(5),
        timestamp: world.values.below(9),
        step: world.values.below(3),
        model_id: world.id('loggedModel'),
        dataset_name: world.values.maybe(0.5, () => world.values.of(['train', 'test'])),
        dataset_digest: world.values.maybe(0.5, () => world.values.of(['d1', 'd2'])),
      },
    }),
  ],
  [
    5,
    (world) => ({
      method: 'POST',
      path: `${root}/search`,
      body: {
        experiment_ids: [...world.all('experiment')],
        filter: world.values.maybe(0.7, () =>
          filter(world, {
            numbers: ['metrics.a', 'metrics.b', 'creation_timestamp'],
            texts: [
              'params.a',
              'tags.a',
              'tags.b',
              'name',
              'attributes.name',
              'model_type',
              'status',
              'attributes.source_run_id',
            ],
            exact: ['model_id', 'name', 'source_run_id'],
            values: () => [...world.all('loggedModel').slice(-3), ...world.all('run').slice(-2), 'm1', 'READY'],
          }),
        ),
        datasets: world.values.maybe(0.2, () =>
          world.values.some(2, () => ({
            dataset_name: world.values.of(['train', 'test', '']),
            dataset_digest: world.values.maybe(0.5, () => 'd1'),
          })),
        ),
        order_by: world.values.maybe(0.5, () =>
          world.values.some(2, () => ({
            field_name: world.values.of([
              'metrics.a',
              'metrics.b',
              'creation_time',
              'creation_timestamp',
              'name',
              'last_updated_timestamp',
              'params.a',
              'foo',
            ]),
            ascending: world.values.maybe(0.7, () => world.values.chance(0.5)),
            dataset_name: world.values.maybe(0.2, () => 'train'),
            dataset_digest: world.values.maybe(0.1, () => 'd1'),
          })),
        ),
        max_results: pageSize(world),
      },
      paged: true,
    }),
  ],
]

/** The client says the id in the body too. */
function withModelId(world: World, call: Call, rest = ''): Call {
  const id = world.id('loggedModel')
  return { ...call, path: call.path + id + rest, body: { model_id: id, ...call.body } }
}

export const loggedModels: Family = { name: 'logged-models', weight: 3, call: (world) => pick(world, makers) }
