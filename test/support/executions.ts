import type { Execution } from '../../src/executions/execution.ts'
import type { CommitId, ExecutionId } from '../../src/kernel/ids.ts'

/** Execution `e1` of project `p`, as it stands in a store. */
export const executionIn = (state: Execution['state']): Execution => ({
  id: 'e1' as ExecutionId,
  project: 'p',
  commit: 'c'.repeat(40) as CommitId,
  trigger: { kind: 'run', actor: 'ada' },
  deployable: false,
  fixed: { project: 'p', commit: 'c'.repeat(40) as CommitId, set: {}, data: {}, champions: {}, executionId: 'e1' },
  state,
  requestedBy: 'ada',
  createdAt: 1,
})
