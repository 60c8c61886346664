import { filter, orderBy } from '../filters.ts'
import type { Call, Family, World } from '../world.ts'
import { pick } from './experiments.ts'

const root = '/api/3.0/mlflow/traces'

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0')
const tags = (world: World) => Object.fromEntries(world.values.some(2, () => [world.values.key(), world.values.text()]))

function newTrace(world: World): Call {
  const count = world.unique()
  const id = `tr-${hex(world.seed, 8)}${hex(count, 24)}`
  return {
    method: 'POST',
    path: root,
    body: {
      trace: {
        trace_info: {
          trace_id: id,
          client_request_id: world.values.maybe(0.3, () => `client-${count % 5}`),
          trace_location: {
            type: 'MLFLOW_EXPERIMENT',
            mlflow_experiment: { experiment_id: world.id('experiment') },
          },
          request_preview: world.values.maybe(0.5, () => world.values.text()),
          response_preview: world.values.maybe(0.5, () => world.values.text()),
          request_time: new Date(1_700_000_000_000 + count * 1000).toISOString(),
          execution_duration: world.values.maybe(0.8, () => world.values.of(['0.100s', '1s', '2.5s', '0s'])),
          state: world.values.of(['OK', 'ERROR', 'IN_PROGRESS', 'OK', 'STATE_UNSPECIFIED', 'X']),
          trace_metadata: world.values.maybe(0.5, () => tags(world)),
          tags: world.values.maybe(0.6, () => tags(world)),
        },
      },
    },
    makes: { kind: 'trace', at: 'trace.trace_info.trace_id' },
  }
}

const assessment = (world: World) => ({
  assessment_name: world.values.chance(0.9) ? world.values.of(['good', 'score', 'note']) : world.values.text(),
  source: world.values.maybe(0.9, () => ({
    source_type: world.values.of(['HUMAN', 'LLM_JUDGE', 'CODE', 'X']),
    source_id: world.values.text(),
  })),
  ...(world.values.chance(0.6)
    ? { feedback: { value: world.values.of<unknown>([true, 1, 0.5, 'yes', null, { a: 1 }, ['x', 1], '']) } }
    : world.values.chance(0.9)
      ? { expectation: { value: world.values.of<unknown>([true, 'answer', 3, { a: [1] }]) } }
      : {}),
  rationale: world.values.maybe(0.4, () => world.values.text()),
  metadata: world.values.maybe(0.3, () => tags(world)),
})

const makers: [number, (world: World) => Call][] = [
  [3, newTrace],
  [2, (world) => ({ method: 'GET', path: `${root}/${world.id('trace')}` })],
  [
    1.5,
    (world) => ({
      method: 'PATCH',
      path: `${root}/${world.id('trace')}/tags`,
      body: { key: world.values.key(), value: world.values.text() },
    }),
  ],
  [1, (world) => ({ method: 'DELETE', path: `${root}/${world.id('trace')}/tags`, body: { key: world.values.key() } })],
  [
    2,
    (world) => ({
      method: 'POST',
      path: `${root}/${world.id('trace')}/assessments`,
      body: { assessment: assessment(world) },
      makes: { kind: 'assessment', at: 'assessment.assessment_id' },
    }),
  ],
  [1, (world) => ({ method: 'GET', path: `${root}/${world.id('trace')}/assessments/${world.id('assessment')}` })],
  [
    1,
    (world) => ({
      method: 'PATCH',
      path: `${root}/${world.id('trace')}/assessments/${world.id('assessment')}`,
      body: {
        assessment: assessment(world),
        update_mask: world.values.of([
          'rationale',
          'assessmentName,rationale',
          'feedback',
          'expectation',
          'metadata',
          'rationale,metadata',
        ]),
      },
    }),
  ],
  [0.5, (world) => ({ method: 'DELETE', path: `${root}/${world.id('trace')}/assessments/${world.id('assessment')}` })],
  [
    5,
    (world) => ({
      method: 'POST',
      path: `${root}/search`,
      body: {
        locations: world
          .all('experiment')
          .map((experiment_id) => ({ type: 'MLFLOW_EXPERIMENT', mlflow_experiment: { experiment_id } })),
        filter: world.values.maybe(0.75, () =>
          filter(world, {
            numbers: ['timestamp_ms', 'execution_time_ms', 'trace.timestamp_ms', 'trace.execution_time'],
            texts: [
              'tag.a',
              'tags.b',
              'metadata.a',
              'request_metadata.b',
              'trace.status',
              'status',
              'client_request_id',
              'trace.client_request_id',
              'feedback.good',
              'feedback.score',
              'expectation.note',
              'trace.text',
              'tags.`with space`',
              'span.name',
            ],
            exact: ['trace.status', 'client_request_id', 'tag.a'],
            values: () => ['OK', 'ERROR', 'client-1', 'true', 'yes'],
            nullable: true,
          }),
        ),
        order_by: orderBy(world, [
          'timestamp_ms',
          'timestamp',
          'execution_time',
          'execution_time_ms',
          'tag.a',
          'status',
          'request_metadata.a',
        ]),
        max_results: world.values.maybe(0.6, () => world.values.of([1, 2, 3, 500, 501, 0, -1, 'x'])),
      },
      paged: true,
    }),
  ],
  [
    0.5,
    (world) => ({
      method: 'POST',
      path: `${root}/delete-traces`,
      body: {
        experiment_id: world.id('experiment'),
        ...(world.values.chance(0.6)
          ? { request_ids: world.ids('trace', 2) }
          : {
              max_timestamp_millis: 1_700_000_000_000 + world.values.below(50) * 1000,
              max_traces: world.values.maybe(0.5, () => world.values.below(3)),
            }),
      },
    }),
  ],
  [0.5, (world) => ({ method: 'POST', path: `${root}/batchGetInfos`, body: { trace_ids: world.ids('trace', 3) } })],
  [
    0.5,
    (world) => ({
      method: 'POST',
      path: '/api/2.0/mlflow/traces/link-to-run',
      body: { trace_ids: world.ids('trace', 2), run_id: world.id('run') },
    }),
  ],
]

export const traces: Family = { name: 'traces', weight: 3, call: (world) => pick(world, makers) }
