import type { PlanPush } from '../forges/index.ts'
import { newId } from '../kernel/ids.ts'
import { describePlan, type Planner } from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'

/** What a push is answered with while the pusher waits: the plan, from what is known now. */
export const planForPush =
  (planner: Planner, clock: Clock): PlanPush =>
  async ({ project, to, branch, quarantine }) => {
    const { plan } = await planner.plan({
      project,
      commit: to,
      executionId: newId(clock.now()),
      facts: { trigger: 'push', branch },
      ...(quarantine ? { quarantine } : {}),
    })
    return describePlan(plan)
  }
