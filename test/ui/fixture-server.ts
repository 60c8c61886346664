import type { ServerResponse } from 'node:http'
import { pino } from 'pino'
import { createHttpApp, mountEndpoints } from '../../src/compose/http/app.ts'
import { serveUi } from '../../src/compose/http/ui.ts'
import { getExecution, listExecutions, readLog } from '../../src/executions/executions-contract.ts'
import { listVerdicts } from '../../src/gates/gates-contract.ts'
import { AppError } from '../../src/kernel/errors.ts'
import type { NewEvent } from '../../src/kernel/events.ts'
import { anonymous, endpoint, type OutputOf } from '../../src/kernel/route.ts'
import { getHealth, getLineage, getOverview, listVersions, whyVersion } from '../../src/lineage/lineage-contract.ts'
import { getMonitoring, listAlerts } from '../../src/monitoring/monitoring-contract.ts'
import { listProjects } from '../../src/projects/projects-contract.ts'
import { approvePromotion, listPromotions } from '../../src/promotions/promotions-contract.ts'
import { getRetraining } from '../../src/retraining/retraining-contract.ts'
import { getDeployment, getGateway, listDeployments } from '../../src/rollouts/rollouts-contract.ts'
import { getMetricHistory, getRun, listRuns } from '../../src/tracking/tracking-contract.ts'
import { digest, type Scenario } from './scenarios.ts'

type Lineage = OutputOf<typeof getLineage>

/** The only token that the fixture server knows. */
export const ownerToken = 'mw_owner'

export type FixtureServer = {
  url: string
  /** What is answered from; a test changes it and then tells. */
  scenario: Scenario
  tell: (event: NewEvent) => void
  /** How many pages have the stream open. */
  listening: () => number
  /** Ends the streams, and takes no other until told. */
  dropStreams: () => void
  takeStreams: () => void
  close: () => Promise<void>
}

/** The server's door with answers from a scenario: same parsing, same errors, same access rules, same types. */
export async function startFixtureServer(scenario: Scenario): Promise<FixtureServer> {
  const app = createHttpApp({
    log: pino({ level: 'silent' }),
    loopback: true,
    allowedHosts: [],
    authenticate: async (authorization) => {
      if (authorization === undefined) return anonymous
      if (authorization === `Bearer ${ownerToken}`) return { kind: 'owner', name: 'owner' }
      throw new AppError('Unauthenticated', 'This token is not known here.', '`modelwright token` shows yours.')
    },
  })
  const server: FixtureServer = {
    ...{ url: '', scenario },
    tell: (event) => {
      lastId++
      for (const stream of streams)
        stream.write(`id: ${lastId}\nevent: ${event.type}\ndata: ${JSON.stringify(event.payload)}\n\n`)
    },
    listening: () => streams.size,
    dropStreams: () => {
      takesStreams = false
      for (const stream of streams) stream.end()
      streams.clear()
    },
    takeStreams: () => {
      takesStreams = true
    },
    close: async () => {
      server.dropStreams()
      await app.close()
    },
  }
  let lastId = 0
  let takesStreams = true
  const streams = new Set<ServerResponse>()
  mountEndpoints(app, endpoints(server))
  app.get('/api/v1/events', (_request, reply) => {
    if (!takesStreams) return reply.code(503).send()
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    reply.raw.write(': open\n\n')
    streams.add(reply.raw)
    reply.raw.on('close', () => streams.delete(reply.raw))
  })
  serveUi(app)
  server.url = await app.listen({ port: 0, host: '127.0.0.1' })
  return server
}

const missing = (what: string) =>
  new AppError('NotFound', `There is no ${what}.`, 'Look at the list of those that there are.')

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw missing(what)
  return value
}

function endpoints(server: FixtureServer) {
  const now = () => server.scenario
  return [
    endpoint(listProjects, async () => ({ items: now().projects })),
    endpoint(listExecutions, async ({ query }) => ({
      items: now().executions.filter(({ commit }) => query.commit === undefined || commit.startsWith(query.commit)),
    })),
    endpoint(getExecution, async ({ params }) =>
      found(
        now().executions.find(({ id }) => id === params.id),
        `execution ${params.id}`,
      ),
    ),
    endpoint(readLog, async ({ params, query }) => {
      const log = found(now().logs[params.node], `log of ${params.node}`)
      const text = log.text.slice(query.offset, query.offset + query.limit)
      return { text, offset: query.offset + text.length, ended: log.ended }
    }),
    endpoint(listVerdicts, async ({ query }) => ({
      items: now().verdicts.filter(
        ({ executionId }) => query.execution === undefined || executionId === query.execution,
      ),
    })),
    endpoint(listPromotions, async () => ({ items: now().promotions })),
    endpoint(approvePromotion, async ({ params, actor }) => {
      const promotion = found(
        now().promotions.find(({ id }) => id === params.id),
        `promotion ${params.id}`,
      )
      return Object.assign(promotion, { state: 'committed' as const, waitsForPerson: false, decidedBy: actor.name })
    }),
    endpoint(listDeployments, async () => ({ items: now().deployments })),
    endpoint(getDeployment, async ({ params }) =>
      found(
        now().deployments.find(({ environment }) => environment === params.environment),
        `environment ${params.environment}`,
      ),
    ),
    endpoint(getGateway, async () => now().gateway),
    endpoint(getMonitoring, async () => ({ environments: now().monitored })),
    endpoint(getRetraining, async () => ({ environments: now().retraining })),
    endpoint(listAlerts, async () => ({ items: now().monitored.flatMap(({ alerts }) => alerts) })),
    endpoint(listVersions, async () => ({ items: now().versions })),
    endpoint(whyVersion, async ({ params }) =>
      found(
        now().stories.find(({ digest }) => digest === params.digest),
        `version ${params.digest}`,
      ),
    ),
    endpoint(listRuns, async () => ({ items: now().runs })),
    endpoint(getRun, async ({ params }) =>
      found(
        now().runs.find(({ id }) => id === params.id),
        `run ${params.id}`,
      ),
    ),
    endpoint(getMetricHistory, async ({ params }) => ({ items: now().points[`${params.id} ${params.key}`] ?? [] })),
    endpoint(getLineage, async ({ query }) => ({ ...query, ...lineageOf(now()), more: false, cut: false })),
    endpoint(getHealth, async () => ({ now: 0, parkedEvents: [], audit: { entries: 0 }, openExecutions: 0 })),
    endpoint(getOverview, async ({ params }) => overviewOf(now(), params.project)),
  ]
}

/** Up from the newest version to commit, data and files, and down to where it serves. */
function lineageOf({ versions: [version], stories, deployments }: Scenario): Pick<Lineage, 'things' | 'lines'> {
  const story = stories.find(({ digest }) => digest === version?.digest)
  if (!version || !story) throw missing('thing of that name')
  const own = {
    id: 'version',
    kind: 'version',
    name: `${version.model} v${version.version}`,
    ref: version.digest,
  } as const
  const up = [
    { id: 'model', kind: 'logged model', name: `model ${version.model}`, ref: 'm-1', distance: -1 },
    { id: 'train', kind: 'run', name: 'train', ref: story.run?.id ?? 'r', at: version.createdAt, distance: -2 },
    { id: 'execution', kind: 'execution', name: 'execution 4b1c09de', ref: version.executionId, distance: -3 },
    { id: 'commit', kind: 'commit', name: 'commit 3f2a1b4c5d6e', ref: story.commit?.id ?? 'c', distance: -4 },
    ...story.data.map((one) => ({
      ...{ id: one.dataset, kind: 'data' as const, name: `data ${one.dataset}`, ref: one.digest, distance: -3 },
    })),
    ...Array.from({ length: 12 }, (_, i) => ({
      ...{ id: `file ${i}`, kind: 'file' as const, name: `src/module_${i}.py`, ref: digest(`file ${i}`), distance: -3 },
    })),
  ] satisfies Lineage['things']
  const down = deployments.map(({ environment }) => ({
    ...{
      id: environment,
      kind: 'deployment' as const,
      name: `${environment}: ${own.name}`,
      ref: version.digest,
      distance: 1,
    },
  }))
  return {
    things: [...up, { ...own, at: version.createdAt, distance: 0, asked: true }, ...down],
    lines: [
      ...up.filter(({ distance }) => distance === -3).map(({ id }) => ({ from: id, to: 'train' })),
      ...[
        { from: 'commit', to: 'execution' },
        { from: 'train', to: 'model' },
        { from: 'model', to: 'version' },
      ],
      ...down.map(({ id }) => ({ from: 'version', to: id })),
    ],
  }
}

function overviewOf(scenario: Scenario, name: string) {
  const [execution] = scenario.executions
  const verdict = scenario.verdicts.find(({ executionId }) => executionId === execution?.id)
  return {
    project: found(
      scenario.projects.find((project) => project.name === name),
      `project ${name}`,
    ),
    ...(execution
      ? {
          execution,
          commit: {
            id: execution.commit,
            author: execution.author,
            subject: execution.subject,
            at: execution.createdAt,
          },
        }
      : {}),
    ...(verdict ? { verdict } : {}),
    deployments: scenario.deployments,
    promotions: scenario.promotions.filter(({ waitsForPerson }) => waitsForPerson),
    alerts: scenario.monitored.flatMap(({ alerts }) => alerts),
    scheduled: scenario.scheduled,
    next: scenario.next,
  }
}
