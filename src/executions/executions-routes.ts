import type { z } from 'zod'
import { AppError } from '../kernel/errors.ts'
import { type CommitId, type ExecutionId, newId } from '../kernel/ids.ts'
import { type Endpoint, endpoint, type OutputOf } from '../kernel/route.ts'
import { describePlan, type Plan, type Planner, type PlanRequest } from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { Repositories } from '../ports/repository.ts'
import type { ProjectsService } from '../projects/index.ts'
import { type Execution, shownOf } from './execution.ts'
import {
  cancelExecution,
  getExecution,
  listExecutions,
  listNodes,
  planCommit,
  readLog,
  resumeExecution,
  searchLog,
  startExecution,
} from './executions-contract.ts'
import type { ExecutionsService } from './executions-service.ts'

type Parts = {
  executions: ExecutionsService
  planner: Planner
  projects: ProjectsService
  repositories: Repositories
  clock: Clock
}

export function executionEndpoints({ executions, planner, projects, repositories, clock }: Parts): Endpoint[] {
  return [
    endpoint(listExecutions, async ({ query }) => {
      const { pageToken, ...filter } = query
      const found = await executions.list({
        ...filter,
        limit: query.limit + 1,
        ...(pageToken ? { before: pageToken } : {}),
      })
      const items = found.slice(0, query.limit)
      return {
        items: items.map(executionView),
        ...(found.length > query.limit ? { nextPageToken: items.at(-1)!.id } : {}),
      }
    }),
    endpoint(getExecution, async ({ params, query }) => {
      const { execution, nodes } = await executions.view(params.id, { folded: query.nodes === 'folded' })
      const commit = await repositories.commit(execution.project, execution.commit)
      return {
        ...executionView(execution),
        subject: commit.message.split('\n')[0] ?? '',
        author: commit.author,
        data: Object.values(execution.fixed.data),
        nodes,
      }
    }),
    endpoint(startExecution, async ({ params, body, actor }) => {
      const now = clock.now()
      const { execution, plan } = await executions.start({
        project: params.project,
        commit: body.commit as CommitId,
        trigger: { kind: 'run', actor: actor.name },
        deployable: false,
        requestedBy: actor.name,
        cause: `run:${newId(now)}`,
        set: body.set,
        ...askedIn(body),
      })
      return { execution: executionView(execution), plan: planView(plan!) }
    }),
    endpoint(planCommit, async ({ params, body }) => {
      const commit = body.commit ?? (await projects.desiredHead(params.project))
      if (!commit)
        throw new AppError(
          'NotFound',
          `Nothing was pushed to ${params.project} yet.`,
          'Push a commit: git push modelwright main',
        )
      const { plan } = await planner.plan({
        project: params.project,
        commit: commit as CommitId,
        executionId: newId(clock.now()) as ExecutionId,
        facts: { trigger: 'run' },
        set: body.set,
        ...askedIn(body),
      })
      return planView(plan)
    }),
    endpoint(listNodes, async ({ params, query }) => {
      const { pageToken, node, ...filter } = query
      const { items, next } = await executions.nodes(params.id, {
        ...filter,
        ...(node === undefined ? {} : { only: [node] }),
        ...(pageToken === undefined ? {} : { after: pageToken }),
      })
      return { items, ...(next === undefined ? {} : { nextPageToken: String(next) }) }
    }),
    endpoint(resumeExecution, async ({ params, actor }) =>
      executionView(
        await executions.resume(params.id, { actor: actor.name, cause: `resume:${params.id}:${newId(clock.now())}` }),
      ),
    ),
    endpoint(cancelExecution, async ({ params, actor }) => executionView(await executions.cancel(params.id, actor))),
    endpoint(readLog, ({ params, query }) => executions.log(params.id, params.node, query)),
    endpoint(searchLog, ({ params, query }) => executions.searchLog(params.id, params.node, query)),
  ]
}

function executionView(execution: Execution) {
  const { fixed, ...rest } = execution
  const { set, sample, fresh } = fixed
  return { ...rest, set, ...(sample === undefined ? {} : { sample }), ...(fresh ? { fresh } : {}) }
}

type Asked = Pick<z.output<NonNullable<typeof planCommit.body>>, 'only' | 'fresh' | 'sample'>

const askedIn = ({ only, fresh, sample }: Asked): Pick<PlanRequest, 'only' | 'fresh' | 'sample'> => ({
  ...(only ? { only } : {}),
  ...(fresh && fresh.length > 0 ? { fresh } : {}),
  ...(sample === undefined ? {} : { sample }),
})

const planView = (plan: Plan): OutputOf<typeof planCommit> => ({
  project: plan.project,
  commit: plan.commit,
  nodes: plan.nodes.map(({ decision, ...node }) => ({ ...node, decision: shownOf(decision) })),
  lines: describePlan(plan),
})
