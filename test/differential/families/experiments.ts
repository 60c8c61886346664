import { filter, orderBy, pageSize } from '../filters.ts'
import type { Call, Family, World } from '../world.ts'

const root = '/api/2.0/mlflow/experiments'

export const tagPairs = (world: World, most = 2) =>
  world.values.some(most, () => ({ key: world.values.key(), value: world.values.text() }))

/** Of this episode only: others' experiments may differ between the servers. */
const own = (world: World) => `name LIKE '${world.name('')}%'`

const makers: [weight: number, make: (world: World) => Call][] = [
  [
    2,
    (world) => ({
      method: 'POST',
      path: `${root}/create`,
      body: {
        name: world.values.chance(0.8)
          ? world.name(`${world.values.of(['x', 'Y', 'a b', "it's", 'ünï'])}${world.unique()}`)
          : world.values.of([world.name('x1'), '', 7, null, ' ', 'Default']),
        artifact_location: world.values.maybe(0.25, () =>
          world.values.of([
            's3://bucket/x',
            '',
            'mlflow-artifacts:/a',
            'http://h/x',
            'ftp://h/x',
            'runs:/1/x',
            'gs://b/c?x=..',
            's3://b/x#y',
            'hdfs://h/x',
            5,
          ]),
        ),
        tags: world.values.maybe(0.3, () => tagPairs(world)),
      },
      makes: { kind: 'experiment', at: 'experiment_id' },
    }),
  ],
  [2, (world) => ({ method: 'GET', path: `${root}/get`, query: { experiment_id: world.id('experiment') } })],
  [
    1,
    (world) => ({
      method: 'GET',
      path: `${root}/get-by-name`,
      query: {
        experiment_name: world.values.of([world.name('x1'), world.name(`x${world.values.below(60)}`), '', 'Default']),
      },
    }),
  ],
  [
    4,
    (world) => ({
      method: world.values.chance(0.9) ? 'POST' : 'POST',
      path: `${root}/search`,
      body: {
        filter: world.values.chance(0.5)
          ? own(world)
          : `${own(world)} AND ${filter(world, {
              numbers: ['creation_time', 'last_update_time', 'attribute.creation_time'],
              texts: ['name', 'tags.a', 'tag.b', 'tags.`with space`', 'attribute.name'],
              nullable: true,
            })}`,
        order_by: orderBy(world, ['name', 'creation_time', 'last_update_time', 'experiment_id', 'attribute.name']),
        view_type: world.values.maybe(0.5, () =>
          world.values.of(['ACTIVE_ONLY', 'DELETED_ONLY', 'ALL', 1, 2, 3, 'all', 9]),
        ),
        max_results: pageSize(world),
      },
      paged: true,
    }),
  ],
  [
    1,
    (world) => ({
      method: 'POST',
      path: `${root}/update`,
      body: {
        experiment_id: world.id('experiment'),
        new_name: world.values.chance(0.8)
          ? world.name(`r${world.unique()}`)
          : world.values.of([world.name('x1'), '', 3, 'n'.repeat(501)]),
      },
    }),
  ],
  [1, (world) => ({ method: 'POST', path: `${root}/delete`, body: { experiment_id: world.id('experiment') } })],
  [1.5, (world) => ({ method: 'POST', path: `${root}/restore`, body: { experiment_id: world.id('experiment') } })],
  [
    2,
    (world) => ({
      method: 'POST',
      path: `${root}/set-experiment-tag`,
      body: { experiment_id: world.id('experiment'), key: world.values.key(), value: world.values.text() },
    }),
  ],
  [
    1,
    (world) => ({
      method: 'POST',
      path: `${root}/delete-experiment-tag`,
      body: { experiment_id: world.id('experiment'), key: world.values.key() },
    }),
  ],
]

export const experiments: Family = { name: 'experiments', weight: 2, call: (world) => pick(world, makers) }

export function pick(world: World, from: readonly (readonly [number, (world: World) => Call])[]): Call {
  const total = from.reduce((sum, [weight]) => sum + weight, 0)
  let left = (world.values.below(1_000_000) / 1_000_000) * total
  for (const [weight, make] of from) {
    left -= weight
    if (left < 0) return make(world)
  }
  return from[0]![1](world)
}
