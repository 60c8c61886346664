import { shortDigest } from '../../kernel/digest.ts'
import type { NodeDecision, PlanContext } from '../../planning/index.ts'
import type { Execution, ExecutionNode } from '../execution.ts'

type Facts = {
  machine: string
  execution: Pick<Execution, 'id' | 'project' | 'commit'>
  node: Pick<ExecutionNode, 'id'>
  context: Pick<PlanContext, 'data'>
  decision: Extract<NodeDecision, { outcome: 'runs' }>
}

/** What a step's MLflow run says of where it comes from, without being asked. */
export function runTags({ machine, execution, node, context, decision }: Facts): { key: string; value: string }[] {
  const parts = decision.parts!
  const tags: Record<string, string> = {
    'mlflow.source.type': 'PROJECT',
    'mlflow.source.name': parts.command,
    'mlflow.source.git.commit': execution.commit,
    'modelwright.project': execution.project,
    'modelwright.execution': execution.id,
    'modelwright.step': node.id,
    'modelwright.key': decision.key,
    'modelwright.environment': parts.environment,
    'modelwright.seed': String(parts.seed),
    'modelwright.machine': machine,
  }
  // Seen everywhere: what it read is not what it declared.
  if (parts.checkout) tags['modelwright.isolated'] = 'false'
  for (const dataset of Object.keys(parts.checks))
    tags[`modelwright.data.${dataset}`] = shortDigest(context.data[dataset]!.digest)
  return Object.entries(tags).map(([key, value]) => ({ key, value }))
}
