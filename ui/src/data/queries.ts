import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { getExecution, listExecutions, listNodes } from '../../../src/executions/executions-contract.ts'
import { listVerdicts } from '../../../src/gates/gates-contract.ts'
import { isAppError } from '../../../src/kernel/errors.ts'
import type { OutputOf } from '../../../src/kernel/route.ts'
import { getLineage, getOverview, listVersions, whyVersion } from '../../../src/lineage/lineage-contract.ts'
import { getMonitoring, listAlerts } from '../../../src/monitoring/monitoring-contract.ts'
import { listProjects } from '../../../src/projects/projects-contract.ts'
import { listPromotions } from '../../../src/promotions/promotions-contract.ts'
import { getRetraining } from '../../../src/retraining/retraining-contract.ts'
import { getDeployment, getGateway, listDeployments } from '../../../src/rollouts/rollouts-contract.ts'
import { getMetricHistory, getRun, listRuns } from '../../../src/tracking/tracking-contract.ts'
import { api } from './api.ts'
import { refetchWhilePaused } from './live.ts'

// The first word of each key is what events make stale (live.ts).
const refetchInterval = refetchWhilePaused

export type ExecutionDetail = OutputOf<typeof getExecution>
export type ExecutionNode = ExecutionDetail['nodes'][number]
export type Promotion = OutputOf<typeof listPromotions>['items'][number]
export type Verdict = OutputOf<typeof listVerdicts>['items'][number]
export type Deployment = OutputOf<typeof listDeployments>['items'][number]
export type DeploymentDetail = OutputOf<typeof getDeployment>
export type Rollout = DeploymentDetail['rollouts'][number]
export type Monitored = OutputOf<typeof getMonitoring>['environments'][number]
export type Report = NonNullable<Monitored['report']>
export type Feature = Report['features'][number]
export type Retraining = OutputOf<typeof getRetraining>['environments'][number]
export type Alert = Monitored['alerts'][number]
export type Overview = OutputOf<typeof getOverview>
export type Version = OutputOf<typeof listVersions>['items'][number]
export type VersionStory = OutputOf<typeof whyVersion>
export type Lineage = OutputOf<typeof getLineage>
export type LineageThing = Lineage['things'][number]
export type Run = OutputOf<typeof listRuns>['items'][number]
export type MetricPoint = OutputOf<typeof getMetricHistory>['items'][number]

export const projectsQuery = queryOptions({
  queryKey: ['projects'],
  queryFn: () => api(listProjects, { query: {} }),
  refetchInterval,
})

export const executionsQuery = (project: string) =>
  queryOptions({
    queryKey: ['executions', project],
    queryFn: () => api(listExecutions, { query: { project, limit: 100 } }),
    refetchInterval,
  })

export const executionsOfCommitQuery = (project: string, commit: string) =>
  queryOptions({
    queryKey: ['executions', project, commit],
    queryFn: () => api(listExecutions, { query: { project, commit, limit: 1 } }),
    refetchInterval,
  })

export const executionQuery = (id: string) =>
  queryOptions({
    queryKey: ['execution', id],
    queryFn: () => api(getExecution, { params: { id }, query: { nodes: 'folded' } }),
    refetchInterval,
  })

type NodeState = ExecutionNode['state']

/** The steps that a matrix or a list made of one, page by page. */
export const nodesOfGroupQuery = (id: string, group: string, state: NodeState | undefined) =>
  infiniteQueryOptions({
    queryKey: ['execution', id, 'group', group, state ?? 'all'],
    queryFn: ({ pageParam }) =>
      api(listNodes, {
        params: { id },
        query: { group, limit: 100, ...(state ? { state } : {}), ...(pageParam ? { pageToken: pageParam } : {}) },
      }),
    initialPageParam: 0,
    getNextPageParam: ({ nextPageToken }) => (nextPageToken ? Number(nextPageToken) : undefined),
    refetchInterval,
  })

/** One step that the folded execution does not hold by itself. */
export const nodeQuery = (id: string, node: string) =>
  queryOptions({
    queryKey: ['execution', id, 'node', node],
    queryFn: async () => (await api(listNodes, { params: { id }, query: { node } })).items[0] ?? null,
    refetchInterval,
  })

export const promotionsQuery = (project: string) =>
  queryOptions({
    queryKey: ['promotions', project],
    queryFn: () => api(listPromotions, { params: { project }, query: { limit: 100 } }),
    refetchInterval,
  })

export const verdictsOfExecutionQuery = (execution: string) =>
  queryOptions({
    queryKey: ['verdicts', 'execution', execution],
    queryFn: () => api(listVerdicts, { query: { execution, limit: 10 } }),
    refetchInterval,
  })

/** What the gateway counts and holds in memory comes without events. */
const gatewayEveryMs = 5_000

export const deploymentsQuery = (project: string) =>
  queryOptions({
    queryKey: ['deployments', project],
    queryFn: () => api(listDeployments, { params: { project } }),
    refetchInterval: gatewayEveryMs,
  })

export const gatewayQuery = queryOptions({
  queryKey: ['gateway'],
  queryFn: () => api(getGateway, {}),
  refetchInterval: gatewayEveryMs,
})

export const deploymentQuery = (project: string, environment: string) =>
  queryOptions({
    queryKey: ['deployments', project, environment],
    queryFn: () => api(getDeployment, { params: { project, environment } }),
    refetchInterval,
  })

export const monitoringQuery = (project: string) =>
  queryOptions({
    queryKey: ['monitoring', project],
    queryFn: () => api(getMonitoring, { params: { project } }),
    refetchInterval,
  })

export const retrainingQuery = (project: string) =>
  queryOptions({
    queryKey: ['retraining', project],
    queryFn: () => api(getRetraining, { params: { project } }),
    refetchInterval,
  })

export const alertsQuery = (project: string) =>
  queryOptions({
    queryKey: ['monitoring', project, 'alerts'],
    queryFn: () => api(listAlerts, { query: { project, state: 'all', limit: 100 } }),
    refetchInterval,
  })

export const overviewQuery = (project: string) =>
  queryOptions({
    queryKey: ['overview', project],
    queryFn: () => api(getOverview, { params: { project } }),
    refetchInterval,
  })

export const versionsQuery = (project: string) =>
  queryOptions({
    queryKey: ['models', project],
    queryFn: () => api(listVersions, { params: { project }, query: { limit: 200 } }),
    refetchInterval,
  })

export const versionStoryQuery = (digest: string) =>
  queryOptions({
    queryKey: ['lineage', digest],
    queryFn: () => api(whyVersion, { params: { digest } }),
  })

export const lineageQuery = (project: string, of: string, direction: Lineage['direction'], depth: number) =>
  queryOptions({
    queryKey: ['lineage', project, of, direction, depth],
    queryFn: () => api(getLineage, { query: { project, of, direction, depth } }),
  })

/** A project's steps are runs of the experiment that is called like it; before the first run there is none. */
export const runsQuery = (project: string, filter: string | undefined) =>
  queryOptions({
    queryKey: ['runs', project, filter ?? ''],
    queryFn: async () => {
      try {
        return await api(listRuns, { query: { experiment: project, limit: 200, ...(filter ? { filter } : {}) } })
      } catch (error) {
        if (isAppError(error, 'NotFound')) return { items: [] }
        throw error
      }
    },
    refetchInterval,
  })

/** Points come without events: while the run goes on they are asked for. */
const pointsEveryMs = 2_000

export const runQuery = (id: string, running: boolean) =>
  queryOptions({
    queryKey: ['runs', 'one', id],
    queryFn: () => api(getRun, { params: { id } }),
    refetchInterval: running ? pointsEveryMs : false,
  })

export const metricQuery = (run: string, key: string, running: boolean) =>
  queryOptions({
    queryKey: ['runs', 'one', run, key],
    queryFn: () => api(getMetricHistory, { params: { id: run, key }, query: { limit: 1000 } }),
    refetchInterval: running ? pointsEveryMs : false,
  })
