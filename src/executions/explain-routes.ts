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
import type { ExecutionNode } from './execution.ts'
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
    const explanation =
      (await itemExplained({ executions, planner }, request, against)) ?? (await planner.explain(request, against))
    const ran = await whyItRan(executions, project, explanation)
    return explanationView(project, { ...explanation, ...(ran ? { ran } : {}) })
  }),
]

const executionsLookedAt = 20

/** A step of a list that another step wrote: no plan of a commit has it, the commit's executions do. */
async function itemExplained(
  { executions, planner }: Pick<Parts, 'executions' | 'planner'>,
  { project, commit, only }: { project: string; commit: CommitId; only: string },
  against: Compared | undefined,
): Promise<Explanation | undefined> {
  if (!only.includes('@')) return undefined
  for (const { id } of await executions.list({ project, commit, limit: executionsLookedAt })) {
    const node = await executions.node(id, only)
    const decision = node?.item === undefined ? undefined : node.decision
    if (!decision) continue
    const origin = 'origin' in decision ? decision.origin : undefined
    const parts = 'parts' in decision ? decision.parts : undefined
    return {
      ...{ step: only, commit, decision, decidedIn: id, upstream: [] },
      ...(against ? { against: against.origin } : origin ? { against: origin } : {}),
      changes: against && parts ? await planner.changesBetween(parts, against.parts) : [],
    }
  }
  return undefined
}

/** After a push the step is reused from the very execution in which it ran: who asks wants to know why it did. */
async function whyItRan(
  executions: ExecutionsService,
  project: string,
  { step, commit, decision, against }: Explanation,
): Promise<Explanation['ran']> {
  if (decision.outcome === 'reused' && against?.executionId && against.key === decision.key)
    return ranIn(await executions.node(against.executionId, step))
  if (decision.outcome !== 'decided later') return undefined
  for (const { id } of await executions.list({ project, commit, limit: executionsLookedAt })) {
    const ran = ranIn(await executions.node(id, step))
    if (ran) return { ...ran, executionId: id }
  }
  return undefined
}

function ranIn(node: ExecutionNode | undefined): Explanation['ran'] {
  const made = node?.decision
  if (made?.outcome !== 'runs') return undefined
  return { reasons: made.reasons, ...(made.origin ? { since: made.origin } : {}) }
}

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
  const { step, commit, decision, against, changes, upstream, ran, decidedIn } = explanation
  return {
    project,
    commit,
    step,
    outcome: decision.outcome,
    ...('key' in decision ? { key: decision.key } : {}),
    reasons: decision.reasons,
    ...(against ? { against } : {}),
    ...(ran ? { ran: { ...ran, reasons: [...ran.reasons] } } : {}),
    ...(decidedIn ? { decidedIn } : {}),
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
