import { count, percent } from '../cli/words.ts'
import { getExecution, listExecutions, readLog } from '../executions/executions-contract.ts'
import { listVerdicts } from '../gates/gates-contract.ts'
import { formatMetric } from '../kernel/units.ts'
import { listPromotions } from '../promotions/promotions-contract.ts'
import { continueRollout, getDeployment } from '../rollouts/rollouts-contract.ts'
import type { Execution, Promotion, RolloutRecord, Verdict } from './records.ts'
import { type Demo, environment, project } from './story.ts'
import { failed, until } from './until.ts'

// Each of these tells what happens while it happens, from the server's records, and returns when it is over.

/** The first time includes building the environment. */
const executionWithinMs = 6 * 60_000
const decisionWithinMs = 30_000
const rolloutWithinMs = 120_000

export async function followPush(demo: Demo, commit: string): Promise<Execution> {
  const started = await until(demo, { what: 'The execution of the push', withinMs: decisionWithinMs }, async () => {
    const { items } = await demo.client(listExecutions, { query: { project, commit } })
    return items.find(({ trigger }) => trigger.kind === 'push')
  })
  return followExecution(demo, started.id)
}

export async function followExecution(demo: Demo, id: string): Promise<Execution> {
  const told = new Set<string>()
  let last = ''
  const execution = await until(
    demo,
    { what: `The end of execution ${id}`, withinMs: executionWithinMs, lastSeen: () => last },
    async () => {
      const seen = await demo.client(getExecution, { params: { id }, query: {} })
      for (const node of seen.nodes) tellNode(demo, node, told)
      last = seen.nodes.map((node) => `${node.id} ${node.state}`).join(', ')
      return ['succeeded', 'failed', 'cancelled'].includes(seen.state) ? seen : undefined
    },
  )
  if (execution.state !== 'succeeded') throw await failure(demo, execution)
  return execution
}

type Node = Execution['nodes'][number]

function tellNode({ narrate }: Demo, node: Node, told: Set<string>): void {
  const key = `${node.id} ${node.state}`
  if (told.has(key) || !['running', 'reused', 'succeeded'].includes(node.state)) return
  told.add(key)
  narrate[node.state === 'running' ? 'step' : 'good'](`${nameOf(node)} ${stateOf(node)}`)
}

function stateOf(node: Node): string {
  if (node.state === 'running') return 'runs'
  if (node.state === 'reused') return `reused: ${node.decision?.reasons.join('; ') ?? ''}`
  const took = node.startedAt && node.endedAt ? ` in ${((node.endedAt - node.startedAt) / 1000).toFixed(1)} s` : ''
  const metrics = Object.entries(node.metrics ?? {}).map(([name, value]) => `${name} ${formatMetric(value)}`)
  return `done${took}${metrics.length > 0 ? `: ${metrics.join(', ')}` : ''}`
}

const nameOf = ({ kind, step }: Node): string =>
  kind === 'environment'
    ? 'environment'
    : kind === 'champion evaluation'
      ? `${step} of the champion, on the same rows`
      : step

async function failure(demo: Demo, execution: Execution): Promise<Error> {
  const node = execution.nodes.find(({ state }) => state === 'failed')
  if (!node)
    return failed(`Execution ${execution.id} ended as ${execution.state}: ${execution.reason ?? ''}`, demo.logs)
  const log = await demo.client(readLog, { params: { id: execution.id, node: node.id }, query: { limit: 4_000_000 } })
  for (const line of log.text.split('\n').slice(-20)) demo.narrate.quote(line)
  return failed(`${node.id} failed: ${node.error?.message ?? execution.reason}`, demo.logs)
}

export async function awaitVerdict(demo: Demo, execution: string): Promise<Verdict> {
  const verdict = await until(demo, { what: 'The verdict', withinMs: decisionWithinMs }, async () =>
    (await demo.client(listVerdicts, { query: { project, execution } })).items.at(0),
  )
  const { narrate } = demo
  if (verdict.outcome === 'pass') narrate.good('The gate says PASS')
  else narrate.bad(`The gate says ${verdict.outcome.toUpperCase()}`)
  for (const one of verdict.objectives) {
    const champion = typeof one.champion === 'number' ? ` (champion ${formatMetric(one.champion)})` : ''
    narrate.step(`${one.outcome}: ${one.reason}${champion}`)
  }
  return verdict
}

export async function awaitPromotion(demo: Demo, execution: string): Promise<Promotion> {
  const promotion = await until(demo, { what: 'The promotion commit', withinMs: decisionWithinMs }, async () => {
    const { items } = await demo.client(listPromotions, { params: { project }, query: {} })
    return items.find((one) => one.executionId === execution && one.commit !== undefined && one.state !== 'approved')
  })
  await demo.repository.pull()
  demo.narrate.good(`Promoted by a commit: ${await demo.repository.describe(promotion.commit!)}`)
  return promotion
}

export async function followRollout(demo: Demo, digest: string): Promise<RolloutRecord> {
  const told = new Set<string>()
  let last = 'no rollout yet'
  const rollout = await until(
    demo,
    { what: 'The end of the rollout', withinMs: rolloutWithinMs, lastSeen: () => last },
    async () => {
      const seen = await demo.client(getDeployment, { params: { project, environment } })
      const one = seen.rollouts.find(({ newcomer }) => newcomer.digest === digest)
      if (!one) return undefined
      const traffic = seen.rollout?.id === one.id ? seen.rollout.traffic : undefined
      last = `${one.state}, step ${one.step + 1} of ${one.canary.length}${traffic ? `, the new version answered ${traffic.newcomer.requests}` : ''}`
      tellRollout(demo, one, told)
      if (one.state === 'waiting') await sayContinue(demo, one, told)
      return ['done', 'stalled', 'rolled back', 'superseded'].includes(one.state) ? one : undefined
    },
  )
  if (rollout.state !== 'done')
    throw failed(`The rollout ended as ${rollout.state}: ${rollout.reason ?? ''}`, demo.logs)
  demo.narrate.good(`Version ${rollout.newcomer.version} serves all of production`)
  return rollout
}

/** A demo that was interrupted left its canary without traffic; then the rollout asks a person. */
async function sayContinue({ client, narrate }: Demo, { id, step }: RolloutRecord, told: Set<string>): Promise<void> {
  const key = `continue ${step}`
  if (told.has(key)) return
  told.add(key)
  narrate.command('modelwright rollouts continue production')
  await client(continueRollout, { params: { id } })
}

function tellRollout({ narrate }: Demo, rollout: RolloutRecord, told: Set<string>): void {
  const once = (key: string, text: string) => {
    if (told.has(key)) return
    told.add(key)
    narrate.step(text)
  }
  if (rollout.state === 'preparing')
    once('preparing', `version ${rollout.newcomer.version} is loaded, without traffic yet`)
  for (const decision of [...rollout.decisions].sort((a, b) => a.at - b.at))
    once(
      `${decision.at} ${decision.outcome} ${decision.inputsDigest}`,
      `${decision.outcome}: ${decision.reasons.join('; ')}`,
    )
  if (rollout.state === 'step' && !rollout.straight)
    once(
      `step ${rollout.step}`,
      `canary: ${percent(rollout.canary[rollout.step] ?? 1)} of the traffic goes to version ${rollout.newcomer.version}`,
    )
}

export const rowsText = (n: number): string => count(n, 'real biopsy', 'real biopsies')
