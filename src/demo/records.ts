import { getExecution, listExecutions } from '../executions/executions-contract.ts'
import { listVerdicts } from '../gates/gates-contract.ts'
import type { Client } from '../kernel/client.ts'
import { isAppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { labelsSummary } from '../labels/labels-contract.ts'
import { whyEnvironment, whyPrediction } from '../lineage/lineage-contract.ts'
import { listAlerts } from '../monitoring/monitoring-contract.ts'
import { getProject } from '../projects/projects-contract.ts'
import { listPromotions } from '../promotions/promotions-contract.ts'
import { getRetraining } from '../retraining/retraining-contract.ts'
import { getDeployment } from '../rollouts/rollouts-contract.ts'
import { listPredictions } from '../serving/predictions-contract.ts'
import { environment, project } from './story.ts'

export type Execution = OutputOf<typeof getExecution>
export type Verdict = OutputOf<typeof listVerdicts>['items'][number]
export type Promotion = OutputOf<typeof listPromotions>['items'][number]
type Deployment = OutputOf<typeof getDeployment>
export type RolloutRecord = Deployment['rollouts'][number]
export type Alert = OutputOf<typeof listAlerts>['items'][number]
type Retraining = OutputOf<typeof getRetraining>['environments'][number]['retrainings'][number]
type LabelCounts = OutputOf<typeof labelsSummary>['items'][number]
type WhyPrediction = OutputOf<typeof whyPrediction>
type WhyEnvironment = OutputOf<typeof whyEnvironment>

/** What the server says of the demo's project, through the same door as everybody. Lists are newest first. */
export type Records = {
  executions: Execution[]
  verdicts: Verdict[]
  promotions: Promotion[]
  deployment: Deployment
  alerts: Alert[]
  labels: LabelCounts[]
  retrainings: Retraining[]
  /** One answered prediction of each version that was promoted, as `why` explains it. */
  answered: WhyPrediction[]
  why: WhyEnvironment
}

const params = { project }

/** Undefined where nothing was pushed yet. */
export async function readRecords(client: Client): Promise<Records | undefined> {
  const known = await client(getProject, { params }).catch(ifThere)
  if (!known?.head) return undefined
  const list = await client(listExecutions, { query: { project, limit: 50 } })
  const { items: promotions } = await client(listPromotions, { params, query: {} })
  return {
    executions: await Promise.all(list.items.map(({ id }) => client(getExecution, { params: { id }, query: {} }))),
    verdicts: (await client(listVerdicts, { query: { project } })).items,
    promotions,
    deployment: await client(getDeployment, { params: { project, environment } }),
    alerts: (await client(listAlerts, { query: { project } })).items,
    labels: (await client(labelsSummary, { params })).items,
    retrainings: (await client(getRetraining, { params })).environments.flatMap((one) => one.retrainings),
    answered: await answeredBy(client, [...new Set(promotions.map(({ digest }) => digest))]),
    why: await client(whyEnvironment, { params: { project, environment } }),
  }
}

async function answeredBy(client: Client, digests: string[]): Promise<WhyPrediction[]> {
  const found: WhyPrediction[] = []
  for (const digest of digests) {
    const { items } = await client(listPredictions, { params: { project, environment }, query: { digest, limit: 1 } })
    if (items[0]) found.push(await client(whyPrediction, { params: { id: items[0].id } }))
  }
  return found
}

const ifThere = (error: unknown): undefined => {
  if (isAppError(error, 'NotFound')) return undefined
  throw error
}
