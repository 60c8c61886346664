import type { FastifyInstance } from 'fastify'
import type { OnlineScoringConfig, ScorerVersion } from '../../evaluations/index.ts'
import { invalid } from '../../tracking/index.ts'
import type { MlflowAccess } from './access.ts'
import { double, integer, onlyTexts, readMessage, required, text } from './message.ts'
import { type MlflowParts, mount } from './parts.ts'

const root = '/3.0/mlflow/scorers'

export function mountScorers(app: FastifyInstance, parts: MlflowParts, access: MlflowAccess): void {
  mountVersions(app, parts, access)
  mountOnlineScoring(app, parts, access)
}

const named = { experiment_id: required(text), name: required(text) }

function mountVersions(app: FastifyInstance, { evaluations }: MlflowParts, access: MlflowAccess): void {
  mount(app, 'POST', `${root}/register`, async (request) => {
    const asked = readMessage(request, { ...named, serialized_scorer: required(text) })
    const scorer = await evaluations.registerScorer(asked.experiment_id, asked.name, asked.serialized_scorer)
    return {
      version: scorer.version,
      scorer_id: scorer.scorerId,
      experiment_id: scorer.experimentId,
      name: scorer.name,
      serialized_scorer: scorer.serialized,
      creation_time: scorer.createdAt,
    }
  })

  mount(app, 'GET', `${root}/list`, async (request) => {
    const { experiment_id, experiment_ids } = readMessage(request, { experiment_id: text, experiment_ids: onlyTexts })
    if (experiment_id && experiment_ids)
      throw invalid(
        "Cannot specify both 'experiment_id' and 'experiment_ids'. Use 'experiment_ids' to scope the query to multiple experiments, " +
          "or 'experiment_id' to scope it to a single experiment.",
      )
    const scorers = experiment_id
      ? await evaluations.scorers(experiment_id)
      : await evaluations.scorersAcross(experiment_ids)
    return { scorers: scorers.map(scorerWire) }
  })

  mount(app, 'GET', `${root}/versions`, async (request) => {
    const { experiment_id, name } = readMessage(request, named)
    return { scorers: (await evaluations.scorerVersions(experiment_id, name)).map(scorerWire) }
  })

  mount(app, 'GET', `${root}/get`, async (request) => {
    const { experiment_id, name, version } = readMessage(request, { ...named, version: integer })
    return { scorer: scorerWire(await evaluations.scorer(experiment_id, name, version)) }
  })

  mount(app, 'DELETE', `${root}/delete`, async (request) => {
    const { experiment_id, name, version } = readMessage(request, { ...named, version: integer })
    access.toShared(request.actor, `delete scorer ${name}`)
    await evaluations.deleteScorer(experiment_id, name, version)
    return {}
  })
}

function mountOnlineScoring(app: FastifyInstance, { evaluations }: MlflowParts, access: MlflowAccess): void {
  mount(app, 'PUT', `${root}/online-config`, async (request) => {
    const asked = readMessage(request, { ...named, sample_rate: required(double), filter_string: text })
    access.toShared(request.actor, `configure scorer ${asked.name}`)
    const config = await evaluations.setOnlineScoring(asked.experiment_id, asked.name, {
      sampleRate: asked.sample_rate,
      filter: asked.filter_string,
    })
    return { config: configWire(config) }
  })

  mount(app, 'GET', `${root}/online-configs`, async (request) => {
    const { scorer_ids } = readMessage(request, { scorer_ids: required(onlyTexts) })
    return { configs: (await evaluations.onlineScoring(scorer_ids)).map(configWire) }
  })
}

/** Here, and only here, MLflow's experiment id is a number. */
const scorerWire = (scorer: ScorerVersion) => ({
  experiment_id: Number(scorer.experimentId),
  scorer_name: scorer.name,
  scorer_version: scorer.version,
  serialized_scorer: scorer.serialized,
  creation_time: scorer.createdAt,
  scorer_id: scorer.scorerId,
})

const configWire = (config: OnlineScoringConfig) => ({
  online_scoring_config_id: config.configId,
  scorer_id: config.scorerId,
  sample_rate: config.sampleRate,
  experiment_id: config.experimentId,
  ...(config.filter === undefined ? {} : { filter_string: config.filter }),
})
