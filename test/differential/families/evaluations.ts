import { filter, orderBy, pageSize } from '../filters.ts'
import type { Call, Family, World } from '../world.ts'
import { pick } from './experiments.ts'

const datasets = '/api/3.0/mlflow/datasets'
const scorers = '/api/3.0/mlflow/scorers'

const jsonTags = (world: World) =>
  JSON.stringify(Object.fromEntries(world.values.some(2, () => [world.values.key(), world.values.text()])))

const makers: [number, (world: World) => Call][] = [
  [
    2,
    (world) => ({
      method: 'POST',
      path: `${datasets}/create`,
      body: {
        name: world.values.chance(0.9) ? world.name(`d${world.unique()}`) : world.values.text(),
        experiment_ids: world.values.maybe(0.8, () => world.ids('experiment', 2)),
        tags: world.values.maybe(0.5, () => jsonTags(world)),
      },
      makes: { kind: 'dataset', at: 'dataset.dataset_id' },
    }),
  ],
  [2, (world) => ({ method: 'GET', path: `${datasets}/${world.id('dataset')}` })],
  [
    2,
    (world) => ({
      method: 'POST',
      path: `${datasets}/${world.id('dataset')}/records`,
      body: {
        records: JSON.stringify(
          world.values.some(3, () => ({
            inputs: { q: world.values.below(4), ...(world.values.chance(0.2) ? { t: world.values.text() } : {}) },
            ...(world.values.chance(0.5) ? { expectations: { a: world.values.text() } } : {}),
            ...(world.values.chance(0.3) ? { tags: { k: world.values.text() } } : {}),
          })),
        ),
      },
    }),
  ],
  [1.5, (world) => ({ method: 'GET', path: `${datasets}/${world.id('dataset')}/records` })],
  [
    1,
    (world) => ({ method: 'PATCH', path: `${datasets}/${world.id('dataset')}/tags`, body: { tags: jsonTags(world) } }),
  ],
  [
    0.5,
    (world) => ({
      method: 'DELETE',
      path: `${datasets}/${world.id('dataset')}/tags/${world.values.of(['a', 'b', 'nope'])}`,
    }),
  ],
  [
    2,
    (world) => ({
      method: 'POST',
      path: `${datasets}/search`,
      body: {
        experiment_ids: [...world.all('experiment')],
        filter_string: world.values.maybe(0.6, () =>
          filter(world, { numbers: ['created_time', 'last_update_time'], texts: ['name', 'tags.a', 'created_by'] }),
        ),
        order_by: orderBy(world, ['name', 'created_time', 'last_update_time']),
        max_results: pageSize(world),
      },
      paged: true,
    }),
  ],
  [
    0.5,
    (world) => ({
      method: 'POST',
      path: `${datasets}/${world.id('dataset')}/add-experiments`,
      body: { experiment_ids: world.ids('experiment', 2) },
    }),
  ],
  [
    0.5,
    (world) => ({
      method: 'POST',
      path: `${datasets}/${world.id('dataset')}/remove-experiments`,
      body: { experiment_ids: world.ids('experiment', 2) },
    }),
  ],
  [0.5, (world) => ({ method: 'GET', path: `${datasets}/${world.id('dataset')}/experiment-ids` })],
  [0.4, (world) => ({ method: 'DELETE', path: `${datasets}/${world.id('dataset')}` })],
  [
    1,
    (world) => ({
      method: 'POST',
      path: `${scorers}/register`,
      body: {
        experiment_id: world.id('experiment'),
        name: world.values.of(['s1', 's2', '']),
        serialized_scorer: world.values.of(['{"name": "s1"}', 'no json', '']),
      },
    }),
  ],
  [0.7, (world) => ({ method: 'GET', path: `${scorers}/list`, query: { experiment_id: world.id('experiment') } })],
  [
    0.5,
    (world) => ({
      method: 'GET',
      path: `${scorers}/versions`,
      query: { experiment_id: world.id('experiment'), name: world.values.of(['s1', 's2', 'nope']) },
    }),
  ],
  [
    0.5,
    (world) => ({
      method: 'GET',
      path: `${scorers}/get`,
      query: { experiment_id: world.id('experiment'), name: world.values.of(['s1', 's2', 'nope']) },
    }),
  ],
  [
    0.3,
    (world) => ({
      method: 'DELETE',
      path: `${scorers}/delete`,
      body: { experiment_id: world.id('experiment'), name: world.values.of(['s1', 's2', 'nope']) },
    }),
  ],
]

export const evaluations: Family = { name: 'evaluations', weight: 1.5, call: (world) => pick(world, makers) }
