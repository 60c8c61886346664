import type { Client } from '../kernel/client.ts'
import { type Digest, isDigest } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { listPromotions } from '../promotions/promotions-contract.ts'
import { getDeployment, listDeployments } from '../rollouts/rollouts-contract.ts'
import { getPrediction } from '../serving/predictions-contract.ts'
import { rolloutText, sentenceOf } from './decide/tell-why.ts'
import type { whyEnvironment, whyPrediction } from './lineage-contract.ts'
import { ifThere, type VersionStories, type VersionStory } from './version-stories.ts'
import type { VersionViews } from './version-views.ts'

type Deployment = OutputOf<typeof getDeployment>
type PlaceStory = Pick<OutputOf<typeof whyEnvironment>, 'promotion' | 'declared' | 'rollout'>
type Answering = { digest: Digest; project: string; environment?: string }

/** Why something serves, and which version gave an answer. */
export class WhyService {
  readonly #ask: Client
  readonly #stories: VersionStories
  readonly #views: VersionViews

  constructor(parts: { ask: Client; stories: VersionStories; views: VersionViews }) {
    this.#ask = parts.ask
    this.#stories = parts.stories
    this.#views = parts.views
  }

  async environment(project: string, environment: string): Promise<OutputOf<typeof whyEnvironment>> {
    const whole = await this.#ask(getDeployment, { params: { project, environment } })
    const { rollouts: _, desiredHistory: __, ...deployment } = whole
    const digest = deployment.serving?.digest ?? deployment.desired?.digest
    const version = digest && isDigest(digest) ? await ifThere(this.#stories.of(digest)) : undefined
    const place = digest ? await this.#place(whole, digest) : {}
    const story = { project, environment, deployment, ...(version ? { version } : {}), ...place }
    return { ...story, sentence: sentenceOf(story) }
  }

  version(digest: string): Promise<VersionStory> {
    if (!isDigest(digest))
      throw new AppError('NotFound', `"${digest}" is no digest.`, '`modelwright versions` shows the digests.')
    return this.#stories.of(digest)
  }

  /** The record where it was kept; else what the id itself says, which is enough to find the version. */
  async prediction(id: string): Promise<OutputOf<typeof whyPrediction>> {
    const { decoded, record } = await this.#ask(getPrediction, { params: { id } })
    const answering: Answering | undefined = record
      ? { digest: record.digest as Digest, project: record.project, environment: record.environment }
      : await this.#fromId(decoded)
    const version = answering && (await ifThere(this.#stories.of(answering.digest)))
    const whole =
      answering?.environment &&
      (await ifThere(
        this.#ask(getDeployment, { params: { project: answering.project, environment: answering.environment } }),
      ))
    const place = answering && whole ? await this.#place(whole, answering.digest, decoded.at) : {}
    const story = {
      ...{ id, decoded },
      ...(record ? { record } : {}),
      ...(answering ? { project: answering.project } : {}),
      ...(answering?.environment ? { environment: answering.environment } : {}),
      ...(version ? { version } : {}),
      ...place,
    }
    return { ...story, sentence: predictionSentence(story) }
  }

  async #fromId({ digestPrefix, version }: { digestPrefix: string; version: number }): Promise<Answering | undefined> {
    const found = await this.#views.byPrefix(digestPrefix, version)
    const [only] = found
    if (!only || found.length > 1) return undefined
    const { items } = await this.#ask(listDeployments, { params: { project: only.project } })
    const places: string[] = []
    for (const { environment } of items) {
      const { rollouts } = await this.#ask(getDeployment, { params: { project: only.project, environment } })
      if (rollouts.some(({ newcomer }) => newcomer.digest === only.digest)) places.push(environment)
    }
    return { digest: only.digest, project: only.project, ...(places.length === 1 ? { environment: places[0]! } : {}) }
  }

  /** How a version came into an environment; `at`: as it was then. */
  async #place(whole: Deployment, digest: string, at = Number.POSITIVE_INFINITY): Promise<PlaceStory> {
    const { project, environment } = whole
    const { items } = await this.#ask(listPromotions, { params: { project }, query: { limit: 1000 } })
    const own = items.filter((one) => one.environment === environment && one.digest === digest && one.createdAt <= at)
    const promotion = own.find(({ state }) => state === 'committed' || state === 'merged') ?? own[0]
    const declared = whole.desiredHistory.find((one) => one.digest === digest && one.at <= at)
    const rollout = whole.rollouts.find((one) => one.newcomer.digest === digest && one.createdAt <= at)
    return {
      ...(promotion ? { promotion } : {}),
      ...(declared
        ? { declared: { commit: declared.commit, actor: declared.actor, origin: declared.origin, at: declared.at } }
        : {}),
      ...(rollout ? { rollout } : {}),
    }
  }
}

function predictionSentence(story: Omit<OutputOf<typeof whyPrediction>, 'sentence'>): string {
  const { decoded, record, environment, version, rollout } = story
  const model = version?.model ?? record?.model
  const by = model
    ? `${model} version ${decoded.version}`
    : `version ${decoded.version} (digest ${decoded.digestPrefix}…), of which nothing is known here`
  const where = environment ? ` in ${environment}` : ''
  const when = new Date(decoded.at).toISOString()
  const kept = record
    ? record.outcome === 'answered'
      ? ''
      : `; it was ${record.outcome}`
    : '; the record itself is not kept'
  const how = rollout && rollout.state !== 'done' ? `; that version ${rolloutText(rollout)}` : ''
  return `Answered${where} at ${when} by ${by}${kept}${how}.`
}
