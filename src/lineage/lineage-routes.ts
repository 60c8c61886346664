import type { ArtifactService } from '../artifacts/index.ts'
import type { Db } from '../db/index.ts'
import { type Endpoint, endpoint } from '../kernel/route.ts'
import type { Planner } from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { Repositories } from '../ports/repository.ts'
import type { ProjectsService } from '../projects/index.ts'
import type { PromotionsService } from '../promotions/index.ts'
import type { TrackingService } from '../tracking/index.ts'
import { DiffService } from './diff-service.ts'
import { healthOf } from './health-view.ts'
import { inProcessClient } from './in-process-client.ts'
import {
  diffRuns,
  getHealth,
  getOverview,
  listVersions,
  whyEnvironment,
  whyPrediction,
  whyVersion,
} from './lineage-contract.ts'
import { OverviewService } from './overview-service.ts'
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
  planner: Planner
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
    endpoint(getHealth, () => healthOf(parts.db, parts.clock)),
  ]
}
