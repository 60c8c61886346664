import type { ArtifactService } from '../artifacts/index.ts'
import type { Db } from '../db/index.ts'
import { type Endpoint, endpoint } from '../kernel/route.ts'
import type { EnvironmentLocks } from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { Repositories } from '../ports/repository.ts'
import type { ProjectsService } from '../projects/index.ts'
import type { PromotionsService } from '../promotions/index.ts'
import type { TrackingService } from '../tracking/index.ts'
import { DiffService } from './diff-service.ts'
import { healthOf } from './health-view.ts'
import { inProcessClient } from './in-process-client.ts'
import {
  diffRuns,
  findRow,
  getHealth,
  getLineage,
  getOpenLineage,
  getOverview,
  listVersions,
  whyEnvironment,
  whyPrediction,
  whyVersion,
} from './lineage-contract.ts'
import { LineageService } from './lineage-service.ts'
import { LineageViews } from './lineage-views.ts'
import { OverviewService } from './overview-service.ts'
import { RowService } from './row-service.ts'
import { VersionStories } from './version-stories.ts'
import { VersionViews } from './version-views.ts'
import { WhyService } from './why-service.ts'

type LineageParts = {
  db: Db
  clock: Clock
  /** The endpoints of the slices above: executions, gates, labels, monitoring, projects, promotions, rollouts, serving. */
  endpoints: () => readonly Endpoint[]
  projects: ProjectsService
  promotions: PromotionsService
  artifacts: ArtifactService
  objects: ObjectStore
  locks: Pick<EnvironmentLocks, 'byDigest'>
  tracking: TrackingService
  repositories: Repositories
}

export function lineageEndpoints(parts: LineageParts): Endpoint[] {
  const ask = inProcessClient(parts.endpoints)
  const views = new VersionViews(parts.db)
  const stories = new VersionStories({ ...parts, ask, views })
  const why = new WhyService({ ask, stories, views })
  const overviews = new OverviewService({ ...parts, ask, stories, views })
  const diffs = new DiffService({ ...parts, ask, stories })
  const lineage = new LineageViews(parts)
  const lineages = new LineageService({ ask, lineage, views })
  const rows = new RowService({ ...parts, lineage })
  /** A project that is not there is said so, whatever was asked of it. */
  const ofProject = async <Q extends { project: string }, A>(query: Q, answer: (query: Q) => Promise<A>) => {
    await parts.projects.get(query.project)
    return answer(query)
  }
  return [
    endpoint(whyPrediction, ({ params }) => why.prediction(params.id)),
    endpoint(whyVersion, async ({ params }) => why.version(params.digest)),
    endpoint(whyEnvironment, ({ params }) => why.environment(params.project, params.environment)),
    endpoint(getOverview, ({ params }) => overviews.overview(params.project)),
    endpoint(listVersions, async ({ params, query }) => {
      const { name } = await parts.projects.get(params.project)
      return overviews.versions(name, query)
    }),
    endpoint(diffRuns, ({ query }) => diffs.diff(query.a, query.b)),
    endpoint(getLineage, ({ query }) => ofProject(query, lineages.lineage.bind(lineages))),
    endpoint(getOpenLineage, ({ query }) => ofProject(query, lineages.openLineage.bind(lineages))),
    endpoint(findRow, ({ query }) => ofProject(query, ({ project, dataset, key }) => rows.find(project, dataset, key))),
    endpoint(getHealth, () => healthOf(parts.db, parts.clock)),
  ]
}
