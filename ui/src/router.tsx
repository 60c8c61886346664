import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router'
import { queryClient } from './data/api.ts'
import { projectsQuery } from './data/queries.ts'
import { Frame } from './frame/frame.tsx'
import { CommitPage } from './pages/commit-page.tsx'
import { HomePage } from './pages/home-page.tsx'
import { NotFoundPage } from './pages/not-found-page.tsx'
import { PageSkeleton } from './parts/loading.tsx'
import { Problem } from './parts/problem.tsx'

const root = createRootRoute({ component: Frame, notFoundComponent: NotFoundPage })

const home = createRoute({
  getParentRoute: () => root,
  path: '/',
  loader: async () => {
    // Without an answer the page itself says what is wrong.
    const projects = await queryClient.fetchQuery(projectsQuery).catch(() => undefined)
    const [first] = projects?.items ?? []
    if (first) throw redirect({ to: '/projects/$project', params: { project: first.name } })
  },
  component: HomePage,
})

const loop = createRoute({
  getParentRoute: () => root,
  path: '/projects/$project',
  component: lazyRouteComponent(() => import('./pages/loop/loop-page.tsx'), 'LoopPage'),
})

const commit = createRoute({
  getParentRoute: () => root,
  path: '/projects/$project/commits/$sha',
  component: CommitPage,
})

const executions = createRoute({
  getParentRoute: () => root,
  path: '/projects/$project/executions',
  component: lazyRouteComponent(() => import('./pages/executions-page.tsx'), 'ExecutionsPage'),
})

const tabs = ['log', 'metrics', 'why', 'raw'] as const

type ExecutionSearch = { step?: string; tab?: (typeof tabs)[number] }

const execution = createRoute({
  getParentRoute: () => root,
  path: '/projects/$project/executions/$id',
  validateSearch: ({ step, tab }: Record<string, unknown>): ExecutionSearch => {
    const known = tabs.find((name) => name === tab)
    return { ...(typeof step === 'string' ? { step } : {}), ...(known ? { tab: known } : {}) }
  },
  component: lazyRouteComponent(() => import('./pages/execution/execution-page.tsx'), 'ExecutionPage'),
})

const runs = createRoute({
  getParentRoute: () => root,
  path: '/projects/$project/runs',
  validateSearch: ({ filter }: Record<string, unknown>): { filter?: string } =>
    typeof filter === 'string' ? { filter } : {},
  component: lazyRouteComponent(() => import('./pages/runs-page.tsx'), 'RunsPage'),
})

const models = createRoute({
  getParentRoute: () => root,
  path: '/projects/$project/models',
  component: lazyRouteComponent(() => import('./pages/models-page.tsx'), 'ModelsPage'),
})

const version = createRoute({
  getParentRoute: () => root,
  path: '/projects/$project/models/$model/versions/$version',
  component: lazyRouteComponent(() => import('./pages/version/version-page.tsx'), 'VersionPage'),
})

const deployments = createRoute({
  getParentRoute: () => root,
  path: '/projects/$project/deployments',
  component: lazyRouteComponent(() => import('./pages/deployments/deployments-page.tsx'), 'DeploymentsPage'),
})

const monitoring = createRoute({
  getParentRoute: () => root,
  path: '/projects/$project/monitoring',
  component: lazyRouteComponent(() => import('./pages/monitoring/monitoring-page.tsx'), 'MonitoringPage'),
})

type LineageSearch = { of?: string; direction?: 'up' | 'down' | 'both'; depth?: number }

const lineage = createRoute({
  getParentRoute: () => root,
  path: '/projects/$project/lineage',
  validateSearch: ({ of, direction, depth }: Record<string, unknown>): LineageSearch => ({
    // What looks like a number in the address is one to the router: a commit's beginning, say.
    ...(typeof of === 'string' || typeof of === 'number' ? { of: String(of) } : {}),
    ...(direction === 'up' || direction === 'down' ? { direction } : {}),
    ...(Number.isInteger(depth) && Number(depth) >= 1 && Number(depth) <= 1000 ? { depth: Number(depth) } : {}),
  }),
  component: lazyRouteComponent(() => import('./pages/lineage/lineage-page.tsx'), 'LineagePage'),
})

export const router = createRouter({
  routeTree: root.addChildren([
    home,
    loop,
    commit,
    executions,
    execution,
    runs,
    models,
    version,
    deployments,
    monitoring,
    lineage,
  ]),
  defaultPreload: 'intent',
  defaultPendingComponent: PageSkeleton,
  defaultErrorComponent: ({ error }) => (
    <div className="page">
      <h1>This page broke</h1>
      <Problem error={error} />
    </div>
  ),
  scrollRestoration: true,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
