import { filter, orderBy, pageSize } from '../filters.ts'
import type { Call, Family, World } from '../world.ts'
import { pick, tagPairs } from './experiments.ts'

const models = '/api/2.0/mlflow/registered-models'
const versions = '/api/2.0/mlflow/model-versions'

const modelName = (world: World): string => {
  const { values } = world
  if (values.chance(0.06)) return values.of(['', 'nobody', 'a/b', 'a:b', '.', '..', 'n'.repeat(257)])
  return world.name(values.of(['m1', 'm2', 'M 3', 'ünï', "it's", 'p%']))
}
const version = (world: World): unknown =>
  world.values.chance(0.88)
    ? String(1 + world.values.below(4))
    : world.values.of(['0', '-1', 'x', '', '1.5', '99', 2, '1 ', '01', null])
const alias = (world: World): string =>
  world.values.chance(0.85)
    ? world.values.of(['champion', 'challenger', 'Champion', 'a.b'])
    : world.values.of(['latest', 'v1', 'V2', '', '1', 'with space', 'a/b', 'x'.repeat(256), "it's"])
const stage = (world: World): unknown =>
  world.values.of(['Production', 'Staging', 'Archived', 'None', 'production', 'Live', '', 3])
const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
/** Of this episode only. */
const own = (world: World) => `name LIKE '${world.name('')}%'`

const modelMakers: [number, (world: World) => Call][] = [
  [
    3,
    (world) => ({
      method: 'POST',
      path: `${models}/create`,
      body: {
        name: modelName(world),
        description: world.values.maybe(0.4, () => world.values.text()),
        tags: world.values.maybe(0.3, () => tagPairs(world)),
      },
    }),
  ],
  [2, (world) => ({ method: 'GET', path: `${models}/get`, query: { name: modelName(world) } })],
  [
    3,
    (world) => ({
      method: 'GET',
      path: `${models}/search`,
      query: {
        filter: world.values.chance(0.5)
          ? own(world)
          : `${own(world)} AND ${filter(world, { numbers: [], texts: ['name', 'tags.a', 'tag.b', 'tags.`with space`'], nullable: true })}`,
        ...(world.values.chance(0.4)
          ? { order_by: orderBy(world, ['name', 'last_updated_timestamp', 'timestamp', 'creation_timestamp']) ?? [] }
          : {}),
        ...sized(world),
      },
      paged: true,
    }),
  ],
  [
    1.5,
    (world) => ({
      method: 'POST',
      path: `${models}/get-latest-versions`,
      body: { name: modelName(world), stages: world.values.maybe(0.5, () => world.values.some(2, () => stage(world))) },
    }),
  ],
  [
    1,
    (world) => ({
      method: 'PATCH',
      path: `${models}/update`,
      body: { name: modelName(world), description: world.values.maybe(0.9, () => world.values.text()) },
    }),
  ],
  [
    0.8,
    (world) => ({
      method: 'POST',
      path: `${models}/rename`,
      body: { name: modelName(world), new_name: modelName(world) },
    }),
  ],
  [0.5, (world) => ({ method: 'DELETE', path: `${models}/delete`, body: { name: modelName(world) } })],
  [
    1,
    (world) => ({
      method: 'POST',
      path: `${models}/set-tag`,
      body: { name: modelName(world), key: world.values.key(), value: world.values.text() },
    }),
  ],
  [
    0.7,
    (world) => ({
      method: 'DELETE',
      path: `${models}/delete-tag`,
      body: { name: modelName(world), key: world.values.key() },
    }),
  ],
  [
    2,
    (world) => ({
      method: 'POST',
      path: `${models}/alias`,
      body: { name: modelName(world), alias: alias(world), version: version(world) },
    }),
  ],
  [1, (world) => ({ method: 'GET', path: `${models}/alias`, query: { name: modelName(world), alias: alias(world) } })],
  [
    0.7,
    (world) => ({ method: 'DELETE', path: `${models}/alias`, body: { name: modelName(world), alias: alias(world) } }),
  ],
]

const versionMakers: [number, (world: World) => Call][] = [
  [
    4,
    (world) => ({
      method: 'POST',
      path: `${versions}/create`,
      body: {
        name: modelName(world),
        source: world.values.chance(0.8)
          ? world.values.of(['s3://bucket/model', 'mlflow-artifacts:/1/x', 'dbfs:/x', 'gs://b/m'])
          : world.values.of([
              '',
              '/etc/passwd',
              'file:///etc',
              '../x',
              'mlflow-artifacts:/../x',
              'models:/nobody/1',
              'runs:/x/y',
              'http://h/../x',
              'a b',
              5,
              's3://b/x?y=1',
            ]),
        run_id: world.values.maybe(0.3, () => world.id('run')),
        run_link: world.values.maybe(0.1, () => 'http://link'),
        description: world.values.maybe(0.3, () => world.values.text()),
        tags: world.values.maybe(0.3, () => tagPairs(world)),
      },
    }),
  ],
  [
    2,
    (world) => ({
      method: 'GET',
      path: `${versions}/get`,
      query: { name: modelName(world), version: text(version(world)) },
    }),
  ],
  [
    1,
    (world) => ({
      method: 'GET',
      path: `${versions}/get-download-uri`,
      query: { name: modelName(world), version: text(version(world)) },
    }),
  ],
  [
    3,
    (world) => ({
      method: 'GET',
      path: `${versions}/search`,
      query: {
        filter: world.values.chance(0.5)
          ? own(world)
          : `${own(world)} AND ${filter(world, {
              numbers: ['version_number'],
              texts: ['name', 'tags.a', 'tag.b', 'source_path', 'run_id'],
              exact: ['run_id', 'name'],
              values: () => world.all('run').slice(-3),
            })}`,
        ...(world.values.chance(0.4)
          ? {
              order_by:
                orderBy(world, ['name', 'version_number', 'last_updated_timestamp', 'creation_timestamp']) ?? [],
            }
          : {}),
        ...sized(world),
      },
      paged: true,
    }),
  ],
  [
    1,
    (world) => ({
      method: 'PATCH',
      path: `${versions}/update`,
      body: { name: modelName(world), version: version(world), description: world.values.text() },
    }),
  ],
  [
    1.5,
    (world) => ({
      method: 'POST',
      path: `${versions}/transition-stage`,
      body: {
        name: modelName(world),
        version: version(world),
        stage: stage(world),
        archive_existing_versions: world.values.of([true, false, 'x', 1]),
      },
    }),
  ],
  [
    0.7,
    (world) => ({
      method: 'DELETE',
      path: `${versions}/delete`,
      body: { name: modelName(world), version: version(world) },
    }),
  ],
  [
    1.5,
    (world) => ({
      method: 'POST',
      path: `${versions}/set-tag`,
      body: { name: modelName(world), version: version(world), key: world.values.key(), value: world.values.text() },
    }),
  ],
  [
    0.7,
    (world) => ({
      method: 'DELETE',
      path: `${versions}/delete-tag`,
      body: { name: modelName(world), version: version(world), key: world.values.key() },
    }),
  ],
]

function sized(world: World): Record<string, string> {
  const size = pageSize(world)
  return size === undefined ? {} : { max_results: String(size) }
}

export const registry: Family = {
  name: 'registry',
  weight: 4,
  call: (world) => pick(world, [...modelMakers, ...versionMakers]),
}
