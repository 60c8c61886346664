import { AppError } from '../kernel/errors.ts'
import { type CommitId, type ExecutionId, newId } from '../kernel/ids.ts'
import { type Endpoint, endpoint, type OutputOf } from '../kernel/route.ts'
import { describePlan, type Plan, type PlannedNode, type Planner } from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { Repositories } from '../ports/repository.ts'
import type { ProjectsService } from '../projects/index.ts'
import type { Execution, ExecutionNode } from './execution.ts'
import {
  cancelExecution,
  getExecution,
  listExecutions,
  planCommit,
  readLog,
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
    endpoint(getExecution, async ({ params }) => {
      const { execution, nodes } = await executions.get(params.id)
      const commit = await repositories.commit(execution.project, execution.commit)
      return {
        ...executionView(execution),
        subject: commit.message.split('\n')[0] ?? '',
        author: commit.author,
        data: Object.values(execution.fixed.data),
        nodes: nodes.map(nodeView),
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
        ...(body.only ? { only: body.only } : {}),
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
        set: body.set,
        ...(body.only ? { only: body.only } : {}),
      })
      return planView(plan)
    }),
    endpoint(cancelExecution, async ({ params, actor }) => executionView(await executions.cancel(params.id, actor))),
    endpoint(readLog, async ({ params, query }) => executions.log(params.id, params.node, query)),
  ]
}

function executionView(execution: Execution) {
  const { fixed, ...rest } = execution
  return { ...rest, set: fixed.set }
}

function nodeView(node: ExecutionNode): OutputOf<typeof getExecution>['nodes'][number] {
  const { decision, result, ...rest } = node
  return {
    ...rest,
    ...(decision ? { decision: decisionView(decision) } : {}),
    ...(result ? { metrics: result.metrics } : {}),
    ...(result?.model ? { model: { name: result.model.name, loggedModelId: result.model.loggedModelId } } : {}),
  }
}

/** The parts of a key stay inside: `reasons` say what of them matters. */
function decisionView(decision: PlannedNode['decision']) {
  if (decision.outcome === 'decided later') return decision
  return { outcome: decision.outcome, key: decision.key, reasons: decision.reasons }
}

const planView = (plan: Plan): OutputOf<typeof planCommit> => ({
  project: plan.project,
  commit: plan.commit,
  nodes: plan.nodes.map(({ decision, ...node }) => ({ ...node, decision: decisionView(decision) })),
  lines: describePlan(plan),
})
