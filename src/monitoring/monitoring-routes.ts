import { type Endpoint, endpoint } from '../kernel/route.ts'
import type { ProjectsService } from '../projects/index.ts'
import { mostDriftedFirst } from './decide/judge-window.ts'
import { driftBounds } from './decide/window.ts'
import type { Alert, DriftReport, WatchedDeployment } from './monitoring.ts'
import { getMonitoring, listAlerts, listReports } from './monitoring-contract.ts'
import type { MonitoringStore } from './monitoring-store.ts'

export function monitoringEndpoints(parts: {
  store: MonitoringStore
  projects: Pick<ProjectsService, 'get'>
  deployments: () => Promise<WatchedDeployment[]>
}): Endpoint[] {
  const { store, projects } = parts
  return [
    endpoint(getMonitoring, async ({ params }) => {
      const { name } = await projects.get(params.project)
      const watched = (await parts.deployments()).filter(({ project }) => project === name)
      return { environments: await Promise.all(watched.map((deployment) => environmentView(store, deployment))) }
    }),
    endpoint(listReports, async ({ params, query }) => {
      const { name: project } = await projects.get(params.project)
      const place = { project, environment: params.environment }
      const found = await store.reports(place, { before: query.pageToken, limit: query.limit + 1 })
      const items = found.slice(0, query.limit).map((report) => ({
        ...shownReport(report),
        features: mostDriftedFirst(report.features).map(({ feature, kind, outcome, psi, n }) => ({
          ...{ feature, kind, outcome, psi, n },
        })),
      }))
      return found.length > query.limit ? { items, nextPageToken: items.at(-1)!.id } : { items }
    }),
    endpoint(listAlerts, async ({ query }) => {
      const found = await store.alerts({
        project: query.project,
        before: query.pageToken,
        limit: query.limit + 1,
        ...(query.state === 'all' ? {} : { open: query.state === 'open' }),
      })
      const items = found.slice(0, query.limit).map(shownAlert)
      return found.length > query.limit ? { items, nextPageToken: items.at(-1)!.id } : { items }
    }),
  ]
}

async function environmentView(store: MonitoringStore, deployment: WatchedDeployment) {
  const { project, environment, model, version, digest, monitor } = deployment
  const report = await store.lastReport(deployment, digest)
  const alerts = await store.alerts({ project, environment, open: true, limit: 100 })
  return {
    ...{ environment, model, version, digest },
    bounds: driftBounds(monitor.drift),
    ...(report ? { report: { ...shownReport(report), features: mostDriftedFirst(report.features) } } : {}),
    alerts: alerts.map(shownAlert),
  }
}

function shownReport({ id, version, digest, at, outcome, reasons, ruleVersion, inputsDigest, ...rest }: DriftReport) {
  const { last, ...window } = rest.window
  return {
    ...{ id, version, digest, at, outcome, reasons, ruleVersion, inputsDigest },
    window: { ...window, inputFailureShare: window.inputFailures / window.rows },
    labels: rest.labels.count,
    ...(rest.quality ? { quality: rest.quality } : {}),
  }
}

/** How far it looked stays inside. */
const shownAlert = ({ openedReport, windowFromMs, lastReport, lastBeyond, ...alert }: Alert) => alert
