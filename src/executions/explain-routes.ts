import { AppError } from '../kernel/errors.ts'
import { type CommitId, type ExecutionId, newId } from '../kernel/ids.ts'
import { type Endpoint, endpoint, type OutputOf } from '../kernel/route.ts'
import {
  type Compared,
  describeExplanation,
  type Explanation,
  fileOrigin,
  type KeyParts,
  type Planner,
} from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { ProjectsService } from '../projects/index.ts'
import type { ExecutionsService } from './executions-service.ts'
import { explainStep } from './explain-contract.ts'

type Parts = { executions: ExecutionsService; planner: Planner; projects: ProjectsService; clock: Clock }

export const explainEndpoints = ({ executions, planner, projects, clock }: Parts): Endpoint[] => [
  endpoint(explainStep, async ({ params: { project }, body }) => {
    const commit = body.commit ?? (await projects.desiredHead(project))
    if (!commit)
      throw new AppError(
        'NotFound',
        `Nothing was pushed to ${project} yet.`,
        'Push a commit: git push modelwright main',
      )
    const against = body.against ? await comparedWith(executions, body.against, body.step) : undefined
    const request = {
      project,
      commit: commit as CommitId,
      executionId: newId(clock.now()) as ExecutionId,
      facts: { trigger: 'run' },
      set: body.set,
      only: body.step,
    }
    return explanationView(project, await planner.explain(request, against))
  }),
]

/** What the step's key was made of in that execution, whether it ran there or was reused. */
async function comparedWith(executions: ExecutionsService, id: string, step: string): Promise<Compared> {
  const { execution, nodes } = await executions.get(id)
  const decision = nodes.find((node) => node.id === step)?.decision
  if (!decision || !('key' in decision) || !decision.parts)
    throw new AppError(
      'NotFound',
      `Execution ${id} never decided about step "${step}".`,
      `It has: ${nodes.map((node) => node.id).join(', ')}. Name another execution, or none.`,
    )
  const origin = { key: decision.key, at: execution.createdAt, executionId: execution.id, commit: execution.commit }
  return { parts: decision.parts, origin }
}

const explanationView = (project: string, explanation: Explanation): OutputOf<typeof explainStep> => {
  const { step, commit, decision, against, changes, upstream } = explanation
  return {
    project,
    commit,
    step,
    outcome: decision.outcome,
    ...('key' in decision ? { key: decision.key } : {}),
    reasons: decision.reasons,
    ...(against ? { against } : {}),
    changes,
    ...('parts' in decision && decision.parts ? { parts: partsView(decision.parts, explanation) } : {}),
    upstream,
    lines: describeExplanation(explanation),
  }
}

function partsView(parts: KeyParts, { lock }: Explanation): NonNullable<OutputOf<typeof explainStep>['parts']> {
  const { told: _, trees: __, files, environment, ...rest } = parts
  return {
    ...rest,
    files: Object.entries(files).map(([path, content]) => {
      const [digest, mode] = content.split(' ')
      return { path, content: digest!, executable: mode === 'executable', origin: fileOrigin(path, parts) }
    }),
    ...(environment === 'none'
      ? {}
      : { environment: { digest: environment, ...(lock ? { pythonVersion: lock.pythonVersion } : {}) } }),
  }
}
