import type { OutputOf } from '../../kernel/route.ts'
import type { whyEnvironment } from '../lineage-contract.ts'

type Story = Omit<OutputOf<typeof whyEnvironment>, 'sentence'>

/** The whole chain in one sentence; what is not known is left out. */
export function sentenceOf(story: Story): string {
  const { deployment, version, environment } = story
  if (!version)
    return deployment.desired?.digest
      ? `Git declares ${deployment.desired.model} ${deployment.desired.digest} for ${environment}, of which nothing is known here.`
      : `Nothing serves in ${environment}, and Git declares no version for it.`
  const serves = deployment.serving?.digest === version.digest
  const name = `${version.model} version ${version.version ?? '?'}`
  const parts = [
    `${environment} ${serves ? 'serves' : 'shall serve'} ${name}`,
    version.commit && `made from ${version.commit.id.slice(0, 12)} (“${version.commit.subject}”)`,
    version.verdict && verdictText(version.verdict),
    promotionText(story),
    story.rollout && rolloutText(story.rollout),
  ]
  return `${parts.filter(Boolean).join(', ')}.`
}

const verdictText = (verdict: NonNullable<NonNullable<Story['version']>['verdict']>): string =>
  ({
    pass: `passed its gate with ${Math.round(verdict.score)} of 100`,
    warn: `passed its gate with a warning (${Math.round(verdict.score)} of 100)`,
    fail: 'failed its gate',
    inconclusive: 'its gate could not decide',
  })[verdict.outcome]

function promotionText({ promotion, declared }: Pick<Story, 'promotion' | 'declared'>): string | undefined {
  if (promotion?.decidedBy)
    return promotion.state === 'merged' ? `merged by ${promotion.decidedBy}` : `approved by ${promotion.decidedBy}`
  if (promotion?.state === 'committed') return 'promoted automatically, as modelwright.yaml says'
  return declared && `declared by ${declared.actor}`
}

/** How far a rollout has come, as the end of a sentence about its version. */
export function rolloutText(rollout: NonNullable<Story['rollout']>): string {
  const share = `${Math.round((rollout.canary[rollout.step] ?? 1) * 1000) / 10} %`
  switch (rollout.state) {
    case 'done':
      return rollout.straight ? 'took all traffic at once' : `went out in ${rollout.canary.length} steps`
    case 'preparing':
      return 'is being loaded'
    case 'step':
      return `has ${share} of the traffic now`
    case 'waiting':
      return `has ${share} of the traffic and waits for a person`
    case 'stalled':
      return `its rollout is stalled${rollout.reason ? `: ${rollout.reason}` : ''}`
    case 'rolling back':
    case 'rolled back':
      return `is rolled back${rollout.reason ? `: ${rollout.reason}` : ''}`
    case 'superseded':
      return 'another version came before its rollout ended'
  }
}
